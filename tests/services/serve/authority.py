"""Certificates made here."""

import datetime
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Signs certificates for a test, which are valid from an hour ago to an hour from now."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.now = datetime.datetime.now(datetime.UTC)
        """What it takes for now."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._begin(self._issuer, self._key).add_extension(constraints, True)
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(_pem(certificate.sign(self._key, hashes.SHA256())))

    def issue(
        self, subject: str, dns: str | None = None, address: str | None = None
    ) -> dict[str, Path]:
        """A certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._begin(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]), key)
        names: list[x509.GeneralName] = [] if dns is None else [x509.DNSName(dns)]
        names += [] if address is None else [x509.IPAddress(ipaddress.ip_address(address))]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        files = {
            kind: self.folder / f"{self.name}-{subject}-{kind}.pem"
            for kind in ("certificate", "key")
        }
        files["certificate"].write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))
        files["key"].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files

    def _begin(self, subject: x509.Name, key: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - datetime.timedelta(hours=1))
            .not_valid_after(self.now + datetime.timedelta(hours=1))
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
