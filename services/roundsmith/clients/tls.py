"""What a client shows and trusts: TLS, and mutual TLS where the servers ask for it."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
from pydantic import model_validator

from roundsmith.config import Settings
from roundsmith.errors import ConfigError


class ClientTls(Settings):
    """PEM files. With `certificate` and `key` the client has a subject, which names it as a
    caller. Files that are replaced are shown by calls that begin later.
    """

    ca: Path | None = None
    """The authority that signed the servers' certificates; none means the machine's own roots."""
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None
    """The name to expect in the servers' certificates, where it is not the target's."""

    @model_validator(mode="after")
    def _both_or_none(self) -> "ClientTls":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("expected certificate and key together, saw one of them")
        return self

    def read(self) -> "Pems":
        """The files as they are now; raises ConfigError when one can not be read, or the key is
        another certificate's, as it is while both are replaced.
        """
        while True:
            found = self._files()
            if self.certificate is not None and self.key is not None:
                refuse_misfit(self.certificate, self.key)
            if found == self._files():  # those are the ones that fit
                return found

    def outdated(self) -> str:
        """Why no server would let the certificate in now: it has expired, or is not valid yet;
        empty where neither is so, or none is shown.
        """
        if self.certificate is None or self.key is None:
            return ""
        if not (seen := _out_of_time(self.certificate, self.key)):
            return ""
        return (
            f"{self.certificate}: expected a certificate that is valid now, saw: {seen}; servers "
            "that ask for it take no connection that opens now: put a renewed one there, with its "
            "key"
        )

    def _files(self) -> "Pems":
        ca, key, certificate = (
            read_pem(path) if path else None for path in (self.ca, self.key, self.certificate)
        )
        return Pems(ca, key, certificate)


@dataclass(frozen=True, slots=True)
class Pems:
    """What the files say: authority, key and certificate."""

    ca: bytes | None
    key: bytes | None
    certificate: bytes | None

    def credentials(self) -> grpc.ChannelCredentials:
        """What a secure channel is opened with."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)


def refuse_misfit(certificate: Path, key: Path) -> None:
    """Raises ConfigError unless the key is that of the certificate: gRPC would tell nobody, and
    connect to nobody.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")  # which ones are strong enough is not asked here
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        another = isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH"
        seen = "another" if another else f"one that can not be read ({error})"
        raise ConfigError(
            f"{key}: expected the key of {certificate}, saw {seen}: put the two that were made "
            "together there, without a password"
        ) from error


_OUT_OF_TIME = {9, 10}
"""OpenSSL's numbers for a certificate that is not valid yet, and for one that has expired."""


def _out_of_time(certificate: Path, key: Path) -> str:
    """What OpenSSL says of a certificate's time when it is shown to a server that trusts it; empty
    where that is right. Who is shown it tells a client nothing: it closes the connection.
    """
    shown, asked = (
        ssl.SSLContext(kind) for kind in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER)
    )
    shown.check_hostname, shown.verify_mode = False, ssl.CERT_NONE
    asked.verify_mode = ssl.CERT_REQUIRED
    asked.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    asked.load_verify_locations(certificate)
    for context in (shown, asked):
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(certificate, key, password=lambda: "")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (shown.wrap_bio(back, there), asked.wrap_bio(there, back, server_side=True))
    for side in sides * 2:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return error.verify_message if error.verify_code in _OUT_OF_TIME else ""
        except ssl.SSLError:
            return ""
    return ""


def read_pem(path: Path) -> bytes:
    """The file's bytes; raises ConfigError when it can not be read or is no PEM file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: expected a PEM file, saw {error.strerror}") from error
    if b"-----BEGIN " not in content:
        raise ConfigError(f"{path}: expected a PEM file, saw no BEGIN line")
    return content
