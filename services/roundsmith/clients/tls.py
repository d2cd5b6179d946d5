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


def read_pem(path: Path) -> bytes:
    """The file's bytes; raises ConfigError when it can not be read or is no PEM file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: expected a PEM file, saw {error.strerror}") from error
    if b"-----BEGIN " not in content:
        raise ConfigError(f"{path}: expected a PEM file, saw no BEGIN line")
    return content
