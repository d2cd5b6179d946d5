"""One stream of items that outlives connections: what is unanswered is sent again, nothing is
yielded twice.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

import grpc
from google.rpc import status_pb2
from roundsmith.errors import EngineError, Overloaded, RoundsmithError, Unavailable
from roundsmith.serve.status import from_status

log = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response", bound="ItemResponse")
_RETRIED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
}


class ItemResponse(Protocol):
    """What every stream answers with."""

    @property
    def item_id(self) -> str: ...
    @property
    def last(self) -> bool: ...
    @property
    def error(self) -> status_pb2.Status: ...
    def HasField(self, name: Any) -> bool: ...


@dataclass
class _Pending(Generic[Request, Response]):
    request: Request
    done: asyncio.Future[list[Response]]
    answers: list[Response] = field(default_factory=list)


@dataclass(frozen=True)
class StreamSettings:
    """How long one stream lives, and how patient the client is, in seconds."""

    deadline_s: float = 1800.0
    give_up_s: float = 60.0
    """When the server can not be reached for this long, all items fail."""
    first_backoff_s: float = 0.1
    max_backoff_s: float = 5.0


class ItemStream(Generic[Request, Response]):
    """Sends items over one stream and hands each its answers; reconnects and sends again as
    needed.
    """

    def __init__(
        self, method: Any, item_id: Callable[[Request], str], settings: StreamSettings
    ) -> None:
        self._method, self._item_id, self._settings = method, item_id, settings
        self._pending: dict[str, _Pending[Request, Response]] = {}
        self._outbox: asyncio.Queue[Request] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self.retries = 0
        """Items sent again, for the cost ledger."""

    async def call(self, request: Request) -> list[Response]:
        """All answers to one item; raises the error that the server gave for it.

        An overloaded server is asked again after the time that it names. Raises Unavailable when it
        can not be reached for `give_up_s`.
        """
        while True:
            try:
                return await self._once(request)
            except Overloaded as error:
                self.retries += 1
                await asyncio.sleep(error.retry_after_s)

    async def close(self) -> None:
        """Ends the stream; items under way are cancelled."""
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump

    async def _once(self, request: Request) -> list[Response]:
        name = self._item_id(request)
        assert name not in self._pending, f"item {name!r} is already under way"
        future: asyncio.Future[list[Response]] = asyncio.get_running_loop().create_future()
        self._pending[name] = _Pending(request, future)
        self._outbox.put_nowait(request)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())
        try:
            return await future
        finally:
            self._pending.pop(name, None)

    async def _run(self) -> None:
        """Keeps a stream open while there is something to answer; fails all items when it gives
        up.
        """
        settings = self._settings
        down_since, backoff = None, settings.first_backoff_s
        while self._pending:
            try:
                async for _ in self._exchange():
                    down_since, backoff = None, settings.first_backoff_s
                error: RoundsmithError = Unavailable("the server ended the stream")
            except grpc.aio.AioRpcError as failure:
                error = call_error(failure)
                if failure.code() not in _RETRIED:
                    return self._fail(error)
            down_since = down_since or time.monotonic()
            if time.monotonic() - down_since > settings.give_up_s:
                return self._fail(error)
            log.info("stream broke, sending %d items again: %s", len(self._pending), error)
            self.retries += len(self._pending)
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, settings.max_backoff_s)

    async def _exchange(self) -> AsyncIterator[None]:
        """One connection: sends all that is pending and what comes, yields once an answer."""
        self._outbox = asyncio.Queue()
        for pending in self._pending.values():
            pending.answers.clear()
            self._outbox.put_nowait(pending.request)
        call = self._method(timeout=self._settings.deadline_s)
        writer = asyncio.create_task(_write(call, self._outbox))
        try:
            async for response in call:
                self._take(cast(Response, response))
                yield
        finally:
            writer.cancel()
            call.cancel()

    def _take(self, response: Response) -> None:
        pending = self._pending.get(response.item_id)
        if pending is None or pending.done.done():
            return  # its caller has given up
        if response.HasField("error"):
            pending.done.set_exception(from_status(response.error))
            return
        pending.answers.append(response)
        if response.last:
            pending.done.set_result(pending.answers)

    def _fail(self, error: RoundsmithError) -> None:
        for pending in self._pending.values():
            if not pending.done.done():
                pending.done.set_exception(type(error)(str(error)))


async def _write(call: Any, outbox: "asyncio.Queue[Any]") -> None:
    with contextlib.suppress(
        asyncio.InvalidStateError, grpc.aio.AioRpcError
    ):  # the reader says why
        while True:
            await call.write(await outbox.get())


def call_error(failure: grpc.aio.AioRpcError) -> RoundsmithError:
    """The error of a failed call, of the class that the server raised, else one by its code."""
    for key, value in failure.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    status = status_pb2.Status(code=failure.code().value[0], message=failure.details() or "")
    return from_status(status) if status.message else EngineError(str(failure.code()))
