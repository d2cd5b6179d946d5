"""The smallest web page that Prometheus and a kubelet can read: /metrics and /ready."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from roundsmith.errors import ConfigError

_READ_S = 5.0


@asynccontextmanager
async def metrics_page(
    host: str, port: int, metrics: Callable[[], bytes], ready: Callable[[], bool]
) -> AsyncIterator[str]:
    """Serves until the block ends; yields the address. Raises ConfigError when the port is in
    use.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_S):
                head = await reader.readuntil(b"\r\n\r\n")
            _, path, *_ = (*head.split(b" ", 2), b"")
            writer.write(_page(path, metrics, ready))
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # a peer that sends no request gets no answer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    try:
        server = await asyncio.start_server(answer, host, port)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port}: expected a free port for metrics, saw {error}: "
            "stop what listens there, or give another --metrics-port"
        ) from error
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname()[:2])


def _page(path: bytes, metrics: Callable[[], bytes], ready: Callable[[], bool]) -> bytes:
    if path == b"/metrics":
        return _response("200 OK", metrics())
    if path == b"/ready":
        return _response("200 OK", b"ok\n") if ready() else _response("503 Draining", b"draining\n")
    return _response("404 Not Found", b"expected /metrics or /ready\n")


def _response(status: str, body: bytes) -> bytes:
    kind = "text/plain; version=0.0.4; charset=utf-8"
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
