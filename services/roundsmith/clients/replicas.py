"""Every process behind a name, for what each of them must be told."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc

from roundsmith.clients.calls import call_once
from roundsmith.clients.channels import open_channel
from roundsmith.clients.tls import ClientTls
from roundsmith.errors import Unavailable

Resolve = Callable[[str], Awaitable[Sequence[str]]]
_PAUSES_S = (0.1, 0.3, 1.0)
"""Between one attempt and the next; the last is repeated."""


async def addresses_of(target: str) -> Sequence[str]:
    """The gRPC target of each process behind a target, as names resolve now."""
    scheme, _, rest = target.partition(":")
    if scheme in ("ipv4", "ipv6"):
        return [f"{scheme}:{address}" for address in rest.split(",")]
    if scheme in ("unix", "unix-abstract", "vsock", "xds"):
        return [target]
    host, _, port = target.removeprefix("dns:").rpartition("/")[2].rpartition(":")
    if not host or not port.isdecimal():
        return [target]
    found = await asyncio.get_running_loop().getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM
    )
    kinds = {socket.AF_INET: "ipv4:{}:{}", socket.AF_INET6: "ipv6:[{}]:{}"}
    return sorted({kinds[family].format(*address[:2]) for family, *_, address in found})


@dataclass(frozen=True)
class Replicas:
    """The processes behind a target such as `dns:///generator-admin:8034` of a headless Service."""

    target: str
    tls: ClientTls | None = None
    resolve: Resolve = addresses_of

    @property
    def host(self) -> str | None:
        """The name that certificates are expected to have; None where no name leads to the
        replicas, and each is expected to prove its own address.
        """
        if self.target.startswith(("ipv4:", "ipv6:")):
            return None
        return self.target.removeprefix("dns:").rpartition("/")[2].rpartition(":")[0]


async def everywhere(
    where: Replicas | grpc.aio.Channel,
    method: Callable[[grpc.aio.Channel], Any],
    request: Any,
    timeout_s: float,
) -> None:
    """Sends an idempotent request to every replica, until all that there are have carried it out.

    One that can not be reached is asked again: it comes back, or its name does not resolve to it
    any more. When all have answered, all are asked once more, because one that was started
    meanwhile may know nothing of it. Raises what a replica refused it with, and Unavailable when
    the time is over.
    """
    if not isinstance(where, Replicas):
        await call_once(method(where), request, timeout_s)
        return
    end, attempt, settled = time.monotonic() + timeout_s, 0, None
    while True:
        addresses = sorted(await _resolved(where))
        failures = await _ask_all(where, addresses, method, request, end - time.monotonic())
        if addresses and not failures:
            if settled == addresses:
                return
            settled = addresses
            continue
        settled = None
        pause_s = _PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]
        if time.monotonic() + pause_s > end:
            raise Unavailable(
                f"{where.target}: expected all of {addresses or 'no replica'} to answer in "
                f"{timeout_s:.0f} s, saw {failures}: the others have carried it out; call again"
            )
        attempt += 1
        await asyncio.sleep(pause_s)


async def _resolved(where: Replicas) -> Sequence[str]:
    try:
        return await where.resolve(where.target)
    except OSError:  # a name that has no replica now
        return []


async def _ask_all(
    where: Replicas,
    addresses: Sequence[str],
    method: Callable[[grpc.aio.Channel], Any],
    request: Any,
    timeout_s: float,
) -> dict[str, str]:
    """Which replicas could not be reached, and why; raises what one refused the request with."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(open_channel(address, where.tls, where.host))
            for address in addresses
        ]
        calls = (call_once(method(c), request, max(timeout_s, 0.1), wait=False) for c in channels)
        found = await asyncio.gather(*calls, return_exceptions=True)
    failures = {}
    for address, answer in zip(addresses, found, strict=True):
        if isinstance(answer, Unavailable):
            failures[address] = str(answer)
        elif isinstance(answer, BaseException):
            raise answer
    return failures
