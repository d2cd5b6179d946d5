"""A channel whose files may be replaced while it is open, as cert-manager does with a mounted
secret.

A gRPC channel keeps the certificates that it was made with, and would show them when it connects
again long after they have expired.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc

from roundsmith.clients.tls import ClientTls, Pems
from roundsmith.errors import ConfigError

log = logging.getLogger(__name__)
_LAST_CALLS_S = 3600.0
"""How long calls of a channel that was replaced may go on."""


class RotatingChannel(grpc.aio.Channel):
    """Opens another channel for the calls that begin after a file has changed; those under way end
    on theirs. Files that can not be read, or of which some are not replaced yet, change nothing.
    """

    def __init__(
        self, tls: ClientTls, make: Callable[[grpc.ChannelCredentials], grpc.aio.Channel]
    ) -> None:
        """Raises ConfigError when a file can not be read, or the files do not fit together."""
        self._tls, self._make = tls, make
        self._pems = tls.read()
        self._channel = make(self._pems.credentials())
        self._before: dict[asyncio.Task[None], grpc.aio.Channel] = {}
        self._told: Pems | None = None
        """Those of which it is said that they are out of date."""

    def _now(self) -> grpc.aio.Channel:
        try:
            pems = self._tls.read()
        except ConfigError as error:
            log.warning("the certificates stay as they are: %s", error)
            return self._channel
        if pems != self._pems:
            before, self._pems = self._channel, pems
            self._channel = self._make(pems.credentials())
            leaving = asyncio.get_running_loop().create_task(before.close(_LAST_CALLS_S))
            self._before[leaving] = before
            leaving.add_done_callback(self._before.pop)
            log.info("the certificates have changed: calls from now on show the ones there are")
        if self._channel.get_state() is not grpc.ChannelConnectivity.READY and self._told != pems:
            self._tell_outdated(pems)
        return self._channel

    def _tell_outdated(self, pems: Pems) -> None:
        """Says so, once, of files that the connection which opens next shows in vain."""
        try:
            seen = self._tls.outdated()
        except OSError:  # they are just being replaced
            return
        if seen:
            self._told = pems
            log.warning("%s", seen)

    def _method(self, kind: str, *given: Any, **named: Any) -> Any:
        return lambda *call, **options: getattr(self._now(), kind)(*given, **named)(
            *call, **options
        )

    def unary_unary(self, *given: Any, **named: Any) -> Any:
        return self._method("unary_unary", *given, **named)

    def unary_stream(self, *given: Any, **named: Any) -> Any:
        return self._method("unary_stream", *given, **named)

    def stream_unary(self, *given: Any, **named: Any) -> Any:
        return self._method("stream_unary", *given, **named)

    def stream_stream(self, *given: Any, **named: Any) -> Any:
        return self._method("stream_stream", *given, **named)

    async def __aenter__(self) -> "RotatingChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        channels = [self._channel, *self._before.values()]
        for task in self._before:
            task.cancel()
        await asyncio.gather(*(channel.close(grace) for channel in channels))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._now().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._now().channel_ready()
