"""One process, one or two ports: start, say ready, answer, drain on SIGTERM."""

import asyncio
import ctypes
import json
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection
from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError, DeadlineMissing, PlatformError, RoundsmithError
from roundsmith.serve.status import to_status

log = logging.getLogger(__name__)

CLIENT_KEY = "x-roundsmith-client"
_OPEN = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Binding:
    """One servicer: its full name, and what adds it to a server. `admin` puts it on the admin
    port.
    """

    name: str
    add: Callable[[grpc.aio.Server], None]
    admin: bool = False


@dataclass(frozen=True)
class Service:
    """What a process serves, and how to close it."""

    bindings: Sequence[Binding]
    close: Callable[[], Awaitable[None]]


def caller_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Who calls: the mTLS subject, else the address with the metadata key x-roundsmith-client."""
    identities = context.peer_identities()
    if identities:
        return b",".join(identities).decode("utf-8", "replace")
    address = context.peer().rsplit(":", 1)[0]
    named = dict(context.invocation_metadata() or ()).get(CLIENT_KEY, "")
    return f"{address}/{named if isinstance(named, str) else named.decode('utf-8', 'replace')}"


async def run(
    start: Callable[[], Awaitable[Service]], settings: ServeSettings, ready_file: Path | None = None
) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Starts the engine, listens, says SERVING and writes `ready_file`: JSON with `address` and, where
    there is one, `admin_address`. Raises ConfigError when a port is in use, before the engine is
    loaded.
    """
    for port in (settings.port, settings.admin_port):
        _refuse_taken(settings.host, port)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        service = await start()
        stack.push_async_callback(service.close)
        health = health_aio.HealthServicer()
        servers, addresses = await _listen(service.bindings, health, settings)
        for name in ("", *(b.name for b in service.bindings)):
            await health.set(name, health_pb2.HealthCheckResponse.SERVING)
        if ready_file is not None:
            _write_ready(ready_file, addresses)
        log.info("serving %s on %s", [b.name for b in service.bindings], addresses)
        await stopping.wait()
        await health.enter_graceful_shutdown()
        await asyncio.gather(*(server.stop(settings.drain_s) for server in servers))


def die_with_parent() -> None:
    """Asks the kernel to end this process when the one that started it ends, however that ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        raise PlatformError("the process that started this one is gone")


async def _listen(
    bindings: Sequence[Binding], health: health_aio.HealthServicer, settings: ServeSettings
) -> tuple[list[grpc.aio.Server], dict[str, str]]:
    servers, addresses = [], {}
    for key, port, admin in (
        ("address", settings.port, False),
        ("admin_address", settings.admin_port, True),
    ):
        chosen = [b for b in bindings if b.admin is admin]
        if not chosen:
            continue
        server = _server(settings)
        for binding in chosen:
            binding.add(server)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        names = [b.name for b in chosen] + ["grpc.health.v1.Health", reflection.SERVICE_NAME]
        if settings.reflection:
            reflection.enable_server_reflection(names, server)
        bound = _bind(server, f"{settings.host}:{port}", settings)
        addresses[key] = f"{settings.host}:{bound}"
        await server.start()
        servers.append(server)
    return servers, addresses


def _server(settings: ServeSettings) -> grpc.aio.Server:
    options = [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a partner
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    return grpc.aio.server(interceptors=(_Guard(settings.max_deadline_s),), options=options)


def _bind(server: grpc.aio.Server, address: str, settings: ServeSettings) -> int:
    try:
        if settings.tls_certificate is None or settings.tls_key is None:
            return server.add_insecure_port(address)
        ca = settings.tls_client_ca.read_bytes() if settings.tls_client_ca else None
        pair = (settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())
        credentials = grpc.ssl_server_credentials([pair], ca, require_client_auth=ca is not None)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise _port_taken(address, error) from error


def _refuse_taken(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _port_taken(f"{host}:{port}", error) from error


def _port_taken(address: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"{address}: expected a free port, saw one that can not be bound ({error}): "
        "stop what listens there, or give another --port (0 picks a free one)"
    )


def _write_ready(path: Path, addresses: dict[str, str]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(addresses))
    partial.replace(path)


class _Guard(grpc.aio.ServerInterceptor):
    """Insists on a deadline, and turns errors into statuses; the only place that catches
    everything.
    """

    def __init__(self, max_deadline_s: float) -> None:
        self._max_deadline_s = max_deadline_s

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or details.method.startswith(_OPEN):
            return handler
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streaming(handler.stream_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _check(self, context: Any) -> None:
        remaining = context.time_remaining()
        if remaining is None or remaining > self._max_deadline_s:
            seen = "none" if remaining is None else f"{remaining:.0f} s"
            raise DeadlineMissing(
                f"deadline: expected one of at most {self._max_deadline_s:.0f} s, saw {seen}: "
                "set a timeout on the call"
            )

    def _unary(self, method: Any) -> Any:
        async def guarded(request: Any, context: Any) -> Any:
            try:
                self._check(context)
                return await method(request, context)
            except Exception as error:
                await _abort(context, error)

        return guarded

    def _streaming(self, method: Any) -> Any:
        async def guarded(requests: Any, context: Any) -> Any:
            try:
                self._check(context)
                async for response in method(requests, context):
                    yield response
            except Exception as error:
                await _abort(context, error)

        return guarded


async def _abort(context: Any, error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, RoundsmithError):
        log.exception("a call failed")
        error = RoundsmithError(f"internal error: {type(error).__name__}: {error}")
    status = to_status(error)
    code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
    trailer = ("grpc-status-details-bin", status.SerializeToString())
    await context.abort(code, status.message, (trailer,))
