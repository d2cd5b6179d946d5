"""The credentials that a server shows, and whether it asks its callers for theirs."""

import logging
from pathlib import Path

import grpc

from roundsmith.clients.tls import read_pem, refuse_misfit
from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError

log = logging.getLogger(__name__)


def server_credentials(settings: ServeSettings) -> grpc.ServerCredentials | None:
    """None for plain text. Raises ConfigError when a file can not be read, or the key is another
    certificate's.

    Files that are replaced later are shown to connections that open from then on; as long as they
    can not be read or do not fit together, the ones before are.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    files = _Files(settings.tls_key, settings.tls_certificate, settings.tls_client_ca)
    first = files.read()
    assert first is not None, "what has not been read is news"
    return grpc.dynamic_ssl_server_credentials(
        first,
        files.reread,  # type: ignore[arg-type]  # None, "as before", is not in the stubs
        require_client_authentication=settings.tls_client_ca is not None,
    )


class _Files:
    """PEM files that may be replaced; gRPC asks for them at every handshake."""

    def __init__(self, key: Path, certificate: Path, ca: Path | None) -> None:
        self._paths = (key, certificate, *([ca] if ca else []))
        self._seen: list[bytes] | None = None

    def read(self) -> grpc.ServerCertificateConfiguration | None:
        """The files if they are others than before. Raises ConfigError when one can not be read, or
        they do not fit together.
        """
        found = [read_pem(path) for path in self._paths]
        if found == self._seen:
            return None
        key_path, certificate_path, *_ = self._paths
        refuse_misfit(certificate_path, key_path)
        self._seen = found
        key, certificate, *ca = found
        return grpc.ssl_server_certificate_configuration(
            [(key, certificate)], ca[0] if ca else None
        )

    def reread(self) -> grpc.ServerCertificateConfiguration | None:
        """The same, where files that can not be read or used are no news."""
        try:
            return self.read()
        except ConfigError as error:
            log.warning("the certificates stay as they are: %s", error)
            return None
