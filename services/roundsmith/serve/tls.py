"""The credentials that a server shows, and whether it asks its callers for theirs."""

import grpc

from roundsmith.clients.tls import read_pem
from roundsmith.config import ServeSettings


def server_credentials(settings: ServeSettings) -> grpc.ServerCredentials | None:
    """None for plain text. Raises ConfigError when a file can not be read."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    pair = (read_pem(settings.tls_key), read_pem(settings.tls_certificate))
    ca = read_pem(settings.tls_client_ca) if settings.tls_client_ca else None
    return grpc.ssl_server_credentials([pair], ca, require_client_auth=ca is not None)
