"""One stream of items that outlives connections: what is unanswered is sent again, nothing is
answered twice.
"""

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

import grpc
from google.rpc import status_pb2

from roundsmith.clients.patience import Outage, StreamSettings
from roundsmith.errors import ConfigError, Overloaded, RoundsmithError, Unavailable
from roundsmith.wire.status import OPENED, from_status

log = logging.getLogger(__name__)


class ItemRequest(Protocol):
    """What every stream sends."""

    @property
    def request_id(self) -> str: ...
    def ByteSize(self) -> int: ...


class ItemResponse(Protocol):
    """What every stream answers with."""

    @property
    def item_id(self) -> str: ...
    @property
    def last(self) -> bool: ...
    @property
    def error(self) -> status_pb2.Status: ...
    def HasField(self, name: Any) -> bool: ...


Request = TypeVar("Request", bound=ItemRequest)
Response = TypeVar("Response", bound=ItemResponse)
_DETAILS = "grpc-status-details-bin"
_RETRIED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
}


@dataclass
class _Pending(Generic[Request, Response]):
    request: Request
    done: asyncio.Future[list[Response]]
    told: Callable[[Response], None] | None = None
    """Is told each answer as it comes, and those of an attempt that is repeated once more."""
    answers: list[Response] = field(default_factory=list)
    sends: int = 0
    connected: bool = False
    """Whether it was sent over the connection that is open."""


class ItemStream(Generic[Request, Response]):
    """Sends items over one stream and hands each its answers; reconnects and sends again as
    needed.
    """

    def __init__(
        self, method: Any, item_id: Callable[[Request], str], settings: StreamSettings
    ) -> None:
        self._method, self._item_id, self._settings = method, item_id, settings
        self._pending: dict[str, _Pending[Request, Response]] = {}
        self._outbox: asyncio.Queue[_Pending[Request, Response]] = asyncio.Queue()
        self._given_up: Counter[str] = Counter()
        """Items whose last answer, still to come over this connection, is for nobody."""
        self._room = asyncio.Semaphore(settings.max_in_flight)
        self._pump: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False
        self.retries = 0
        """Items sent again, for the cost ledger."""

    async def follow(self, request: Request) -> AsyncGenerator[Response]:
        """The answers to one item as they come, and after a broken connection those from the first
        on once more; raises what `call` raises.
        """
        answers: asyncio.Queue[Response | None] = asyncio.Queue()
        work = asyncio.ensure_future(self.call(request, answers.put_nowait))
        work.add_done_callback(lambda _: answers.put_nowait(None))
        try:
            while (answer := await answers.get()) is not None:
                yield answer
            work.result()
        finally:
            work.cancel()

    async def call(
        self, request: Request, told: Callable[[Response], None] | None = None
    ) -> list[Response]:
        """All answers to one item; raises the error that the server gave for it.

        An overloaded server is asked again after the time that it names; one that answers an item
        as Unavailable (its engine died, it ends) gets what is unanswered again over another
        connection, where by then another may be. Raises Unavailable when none can be reached for
        `give_up_s`, and ConfigError for an item that is too large or whose id is under way already.
        """
        if (size := request.ByteSize()) > self._settings.max_message_bytes:
            raise ConfigError(
                f"item {self._item_id(request)!r}: expected at most "
                f"{self._settings.max_message_bytes} bytes, saw {size}: split it"
            )
        async with self._room:  # kept while an overloaded server is given time
            while True:
                try:
                    return await self._once(request, told)
                except Overloaded as error:
                    self.retries += 1
                    await asyncio.sleep(error.retry_after_s * random.uniform(1.0, 1.25))

    async def close(self) -> None:
        """Ends the stream; items under way fail as Unavailable."""
        self._closed = True
        if self._pump is not None:
            self._pump.cancel()
            self._ending.add(self._pump)
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _once(
        self, request: Request, told: Callable[[Response], None] | None
    ) -> list[Response]:
        name = self._item_id(request)
        if self._closed:
            raise Unavailable("the client is closed: open another by connect()")
        if name in self._pending:
            raise ConfigError(f"item {name!r}: expected an id of its own, saw one under way")
        future: asyncio.Future[list[Response]] = asyncio.get_running_loop().create_future()
        pending = self._pending[name] = _Pending(request, future, told)
        self._outbox.put_nowait(pending)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())
        try:
            return await future
        finally:
            del self._pending[name]
            if future.cancelled():  # its caller gave up: the server may stop working
                self._give_up(pending) if self._pending else self._abandon()

    def _give_up(self, pending: _Pending[Request, Response]) -> None:
        """Ends one item of those under way."""
        if pending.connected:
            self._given_up[self._item_id(pending.request)] += 1
            self._outbox.put_nowait(pending)

    def _abandon(self) -> None:
        """Ends the connection; the next item gets one of its own, even while this one ends."""
        assert self._pump is not None, "an item is sent by a pump"
        self._pump.cancel()
        self._ending.add(self._pump)
        self._pump.add_done_callback(self._ending.discard)
        self._pump, self._outbox = None, asyncio.Queue()

    async def _run(self) -> None:
        try:
            await self._keep_open()
        except BaseException as error:
            if self._pump is asyncio.current_task():  # else what is pending is another's
                self._fail(Unavailable(f"the stream was closed ({type(error).__name__})"))
            raise

    async def _keep_open(self) -> None:
        """Keeps a stream open while there is something to answer; fails all items when it gives
        up.
        """
        outage = Outage(self._settings)
        while self._pending:
            try:
                await self._exchange(outage)
                error: RoundsmithError = Unavailable("the server ended the stream")
            except TimeoutError:
                error = Unavailable("no answer from the server")
            except Unavailable as told:
                error = told
            except grpc.aio.AioRpcError as failure:
                error = call_error(failure)
                if not broke(failure) and not isinstance(error, Overloaded):
                    return self._fail(error)
            if outage.remaining_s() <= 0:
                return self._fail(
                    Unavailable(f"gave up after {self._settings.give_up_s} s: {error}")
                )
            self._fail_hopeless(error)
            if self._pending:  # else a stream that nobody needed came to its deadline
                log.info("stream ended, sending %d items again: %s", len(self._pending), error)
            await outage.wait()

    async def _exchange(self, outage: Outage) -> None:
        """One connection: sends all that is pending and what comes, takes the answers."""
        self._outbox = asyncio.Queue()
        self._given_up.clear()
        for pending in self._pending.values():
            pending.connected = False
            if not pending.done.done():
                pending.answers.clear()
                self._outbox.put_nowait(pending)
        call, taken = self._method(timeout=self._settings.deadline_s), False
        writer = asyncio.create_task(self._write(call, self._outbox))
        try:
            async with asyncio.timeout(max(0.01, outage.remaining_s())):
                began = await call.initial_metadata()
            if OPENED in tuple(began or ()):
                outage.reached()
                taken = True
            while (response := await call.read()) is not grpc.aio.EOF:
                self._take(cast(Response, response))
                outage.answered()
        finally:
            writer.cancel()
            call.cancel()
            if not taken:  # what nobody took was not sent
                for pending in self._pending.values():
                    pending.sends -= pending.connected

    async def _write(self, call: Any, outbox: "asyncio.Queue[_Pending[Request, Response]]") -> None:
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
            while True:  # when it fails, reading says why
                pending = await outbox.get()
                if pending.done.done():
                    if pending.connected:
                        await call.write(self._cancellation(pending.request))
                    continue
                self.retries += pending.sends > 0
                pending.sends += 1
                pending.connected = True
                await call.write(pending.request)

    def _cancellation(self, request: Request) -> Any:
        cls: Any = type(request)
        return cls(request_id=request.request_id, cancel_item_id=self._item_id(request))

    def _take(self, response: Response) -> None:
        if self._given_up[response.item_id]:
            self._given_up[response.item_id] -= response.last
            return
        pending = self._pending.get(response.item_id)
        if pending is None or pending.done.done():
            return  # its caller has given up
        if response.HasField("error"):
            error = from_status(response.error)
            if isinstance(error, Unavailable):
                raise error  # it says nothing of the item: all that is unanswered is sent again
            pending.done.set_exception(error)
            return
        pending.answers.append(response)
        if pending.told is not None:
            pending.told(response)
        if response.last:
            pending.done.set_result(pending.answers)

    def _fail_hopeless(self, error: RoundsmithError) -> None:
        """Fails the items that have been sent too often, lest one that kills the server is sent
        for ever.
        """
        for name, pending in self._pending.items():
            if pending.sends >= self._settings.max_sends and not pending.done.done():
                message = f"item {name!r}: sent {pending.sends} times, never answered: {error}"
                pending.done.set_exception(Unavailable(message))

    def _fail(self, error: RoundsmithError) -> None:
        for pending in self._pending.values():
            if not pending.done.done():
                pending.done.set_exception(type(error)(str(error)))


def broke(failure: grpc.aio.AioRpcError) -> bool:
    """Whether a call may be answered when it is made again: the server went, or its connection."""
    return failure.code() in _RETRIED or _from_the_transport(failure)


def _from_the_transport(failure: grpc.aio.AioRpcError) -> bool:
    """Whether gRPC itself failed, as it may when a connection dies: a server's own INTERNAL has
    details.
    """
    keys = [key for key, _ in failure.trailing_metadata() or ()]
    return failure.code() is grpc.StatusCode.INTERNAL and _DETAILS not in keys


def call_error(failure: grpc.aio.AioRpcError) -> RoundsmithError:
    """The error of a failed call, of the class that the server raised, else one by its code."""
    for key, value in failure.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    code = failure.code()
    message = f"{code.name}: {failure.details()}"
    return from_status(status_pb2.Status(code=code.value[0], message=message))
