"""One process and its ports: start, say ready, answer, drain on SIGTERM."""

import asyncio
import json
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio
from prometheus_client.registry import Collector

from roundsmith import tracing
from roundsmith.config import ServeSettings
from roundsmith.errors import RoundsmithError
from roundsmith.serve import logs
from roundsmith.serve.guard import Guard
from roundsmith.serve.http import metrics_page
from roundsmith.serve.metrics import Meter
from roundsmith.serve.ports import Binding, bind, new_server, refuse_taken
from roundsmith.serve.tls import server_credentials

log = logging.getLogger(__name__)

_FLUSH_S = 0.5
"""How long after draining the last bytes may take, and watchers of health may stay."""


@dataclass(frozen=True)
class Service:
    """What a process serves, how to close it, and what its engine tells Prometheus."""

    bindings: Sequence[Binding]
    close: Callable[[], Awaitable[None]]
    collectors: Sequence[Collector] = ()
    failed: Callable[[], Coroutine[None, None, RoundsmithError]] | None = None
    """Returns when it can never answer again, with the reason."""


async def run(
    start: Callable[[], Awaitable[Service]], settings: ServeSettings, ready_file: Path | None = None
) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Starts the engine, listens, says SERVING and writes `ready_file`: JSON with `address` and, where
    there are any, `admin_address` and `metrics_address`. Raises ConfigError when a port is in use,
    a certificate can not be read or traces can not be sent as asked, before the engine is loaded,
    and the service's own error when it fails for good: health says NOT_SERVING then, and whoever
    watches the process starts another.
    """
    logs.use(settings.log_format)
    refuse_taken(settings)
    server_credentials(settings)
    tracing.refuse_unfit(settings.otlp_endpoint)
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        service = await _unless(stopping, start)
        if service is None:
            return
        stack.push_async_callback(service.close)
        stack.enter_context(tracing.exported(settings.otlp_endpoint, service.bindings[0].name))
        page = listening(service.bindings, settings, service.collectors)
        addresses = await stack.enter_async_context(page)
        if ready_file is not None:
            _write_ready(ready_file, addresses)
        log.info("serving %s on %s", [b.name for b in service.bindings], addresses)
        await _serve_until(stopping, service)


async def _serve_until(stopping: asyncio.Event, service: Service) -> None:
    stopped = asyncio.ensure_future(stopping.wait())
    waits: list[asyncio.Future[Any]] = [stopped]
    if service.failed is not None:
        waits.append(asyncio.ensure_future(service.failed()))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            raise waits[1].result()
    finally:
        for wait in waits:
            wait.cancel()


@asynccontextmanager
async def listening(
    bindings: Sequence[Binding], settings: ServeSettings, collectors: Sequence[Collector] = ()
) -> AsyncIterator[dict[str, str]]:
    """Serves the bindings until the block ends, then drains; yields the addresses by name."""
    meter = Meter(collectors)
    owned = frozenset(b.name for b in bindings if b.admin) if settings.admin_subjects else ()
    plain = frozenset(b.name for b in bindings if not b.items)
    owners = dict.fromkeys(owned, settings.admin_subjects)
    guard = Guard(settings.max_deadline_s, meter, owners, plain)
    health = health_aio.HealthServicer()
    async with AsyncExitStack() as stack:
        addresses = {}
        for key, port, option, admin in (
            ("address", settings.port, "--port", False),
            ("admin_address", settings.admin_port, "--admin-port", True),
        ):
            if chosen := [b for b in bindings if b.admin is admin]:
                server = new_server(chosen, guard, health, settings)
                addresses[key] = bind(server, port, settings, option)
                await server.start()
                stack.push_async_callback(server.stop, _FLUSH_S)
        if settings.metrics_port is not None:
            page = metrics_page(
                settings.host, settings.metrics_port, meter.text, lambda: not guard.draining
            )
            addresses["metrics_address"] = await stack.enter_async_context(page)
        for name in ("", *(b.name for b in bindings)):
            await health.set(name, health_pb2.HealthCheckResponse.SERVING)
        stack.push_async_callback(guard.drain, settings.drain_s)
        stack.push_async_callback(health.enter_graceful_shutdown)
        yield addresses


async def _unless(
    stopping: asyncio.Event, start: Callable[[], Awaitable[Service]]
) -> Service | None:
    """What `start` returns, or None when the process is told to stop before that."""
    starting = asyncio.ensure_future(start())
    stopped = asyncio.ensure_future(stopping.wait())
    await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if starting.done():
        return starting.result()
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    return None


def _write_ready(path: Path, addresses: dict[str, str]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(addresses))
    partial.replace(path)
