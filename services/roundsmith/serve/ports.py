"""gRPC servers and the ports they listen on."""

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError
from roundsmith.serve.tls import server_credentials


@dataclass(frozen=True)
class Binding:
    """One servicer: its full name, and what adds it to a server. `admin` puts it on the admin
    port; `items` says whether its streams carry items with ids, or bytes.
    """

    name: str
    add: Callable[[grpc.aio.Server], None]
    admin: bool = False
    items: bool = True


def new_server(
    bindings: Sequence[Binding],
    interceptor: grpc.aio.ServerInterceptor,
    health: health_aio.HealthServicer,
    settings: ServeSettings,
) -> grpc.aio.Server:
    """A server with these services, health checking and, by settings, reflection."""
    options = [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a partner
        ("grpc.keepalive_time_ms", 30_000),  # a caller that vanished frees its work
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    server = grpc.aio.server(interceptors=(interceptor,), options=options)
    for binding in bindings:
        binding.add(server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if settings.reflection:
        names = [b.name for b in bindings] + ["grpc.health.v1.Health", reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, server)
    return server


def bind(
    server: grpc.aio.Server, port: int, settings: ServeSettings, option: str = "--port"
) -> str:
    """Binds the server to the port that an option gives, 0 for a free one, and returns `host:port`;
    raises ConfigError when it is taken.
    """
    address = _address(settings.host, port)
    credentials = server_credentials(settings)
    try:
        if credentials is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise _unbound(address, error, option) from error
    return _address(settings.host, bound)


def refuse_taken(settings: ServeSettings) -> None:
    """Raises ConfigError when one of the settings' ports can not be bound now."""
    for option, port in (
        ("--port", settings.port),
        ("--admin-port", settings.admin_port),
        ("--metrics-port", settings.metrics_port or 0),
    ):
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError as error:
                raise _unbound(_address(settings.host, port), error, option) from error


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _unbound(address: str, error: Exception, option: str) -> ConfigError:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror) or number == errno.EADDRNOTAVAIL:
        return ConfigError(
            f"{address}: expected an address of this machine, saw one that it does not have "
            f"({error}): give another --host (127.0.0.1 is this machine alone, 0.0.0.0 all)"
        )
    remedy = (
        "stop what listens there, or give another" if number != errno.EACCES else "give another"
    )
    return ConfigError(
        f"{address}: expected a free port, saw one that can not be bound ({error}): "
        f"{remedy} {option} (0 picks a free one)"
    )
