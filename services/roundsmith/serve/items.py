"""Items of calls: each is worked on by itself, answered in any order and, in a stream, given up by
its id.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from google.rpc import status_pb2

from roundsmith import tracing
from roundsmith.config import ServeSettings
from roundsmith.errors import Cancelled, ConfigError, RoundsmithError
from roundsmith.serve.callers import caller_of, traceparent_of
from roundsmith.serve.failures import cut, status_of
from roundsmith.serve.logs import about, one_line
from roundsmith.serve.results import ItemResults, item_key

log = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")
Part = TypeVar("Part", bound=Message)


_MOST_OF_AN_ID = 256
"""What of it is logged and traced."""
_MOST_UNSENT, _MOST_UNSENT_BYTES = 4096, 16 * 2**20
"""Answers of a stream that wait to be sent, and their bytes; then its items wait too."""


class ItemCalls(Generic[Part, Response]):
    """The calls of one service that carry items, alone or in a stream.

    `work` turns a request and its caller into the messages that answer it, and `response` is the
    stream's response, which carries one of them in the field that `names` has for its type, or in
    the one that it is. Messages of the types `partial` are never an item's last; how many others an
    item has `num_results` says, 0 where that is not known before. An item that the same caller
    sends again is answered from what was done before.
    """

    def __init__(
        self,
        work: Callable[[Any, str], AsyncIterator[Part]],
        response: Callable[..., Response],
        names: str | Mapping[type[Message], str],
        settings: ServeSettings,
        partial: Collection[type[Message]] = (),
        num_results: Callable[[Any], int] = lambda request: 0,
    ) -> None:
        self._work, self._response, self._names = work, response, names
        self._partial, self._num_results = tuple(partial), num_results
        self._max_in_flight = settings.max_items_in_flight
        self._results: ItemResults[Part] = ItemResults(
            settings.result_ttl_s, settings.max_results, settings.max_result_bytes
        )

    async def answer(self, request: Any, context: Any) -> list[Part]:
        """All messages that answer the one item of a call."""
        caller, parent = caller_of(context), traceparent_of(context)
        return [part async for part in self._follow(request, caller, parent)]

    def answer_stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Response]:
        """The responses to a stream of items, as each is known."""
        caller, parent = caller_of(context), traceparent_of(context)
        return answer_items(
            requests,
            item_id_of,
            lambda request: str(request.cancel_item_id),
            lambda request: self._follow(request, caller, parent),
            self._respond,
            self._max_in_flight,
            lambda result: isinstance(result, self._partial),
            self._num_results,
        )

    async def _follow(self, request: Any, caller: str, parent: str) -> AsyncIterator[Part]:
        parent = _taken_from(request) or parent
        item_id = item_id_of(request)
        given = {"request_id": str(request.request_id), "item_id": item_id}
        ids = {name: value[:_MOST_OF_AN_ID] for name, value in given.items()}
        key = item_key(caller, request.request_id, item_id, request)
        name = type(request).__name__.removesuffix("Request").removesuffix("Stream")
        with (
            tracing.span(f"roundsmith.{name}", "server", ids, parent) as here,
            about(**ids, trace_id=tracing.trace_id(here)),
        ):
            try:
                size = request.ByteSize()
                follow = self._results.follow(key, lambda: self._work(request, caller), size)
                async for part in follow:
                    yield part
            except RoundsmithError as error:
                seen = one_line(cut(str(error)))
                log.info("%s of %s failed: %s: %s", name, caller, type(error).__name__, seen)
                raise

    def _respond(self, item_id: str, result: Part | status_pb2.Status, last: bool) -> Response:
        if isinstance(result, status_pb2.Status):
            name = "error"
        else:
            name = self._names if isinstance(self._names, str) else self._names[type(result)]
        return self._response(item_id=item_id, last=last, **{name: result})


def item_id_of(request: Any) -> str:
    """The id of a request's item: the request carries it itself, or in its item."""
    return str(request.item_id if hasattr(request, "item_id") else request.item.item_id)


def _taken_from(request: Any) -> str:
    """The trace that an item of a stream says it belongs to. It is no part of what is asked for,
    so that an item sent again by another trace is the same item.
    """
    if parent := str(getattr(request, "traceparent", "")):
        request.ClearField("traceparent")
    return parent


async def answer_items(
    requests: AsyncIterator[Request],
    item_id: Callable[[Request], str],
    cancelled_id: Callable[[Request], str],
    work: Callable[[Request], AsyncIterator[Result]],
    response: Callable[[str, Result | status_pb2.Status, bool], Response],
    max_in_flight: int,
    is_partial: Callable[[Result], bool] = lambda result: False,
    num_results: Callable[[Request], int] = lambda request: 0,
) -> AsyncIterator[Response]:
    """Answers a stream of items: `response(item_id, result or status, last)` for each result of
    `work`.

    A result is sent at once where `num_results` says how many an item has. Else it is sent when the
    next one, or the end, is known, so that the last one can say so. One that is partial does not
    count, is never the last, and is sent at once. An item that fails is answered by its status
    alone from then on, and so is one whose id is that of an item which is not answered yet. A
    request with a `cancelled_id` is no item: it gives one up, which is answered as Cancelled. Items
    are begun only while fewer than `max_in_flight` are unanswered, and one further request is read
    then; closing the iterator cancels all.
    """
    items = _Items(work, response, max_in_flight, is_partial, num_results)
    reader = asyncio.create_task(items.read(requests, item_id, cancelled_id))
    try:
        while (answered := await items.answers.get()) is not None:
            message, last = answered
            items.taken(message)
            yield message
            if last:
                items.slots.release()
        await reader
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


class _Items(Generic[Request, Result, Response]):
    """The items of one stream: `answers` has each response, with whether it is an item's last,
    and None at the end.
    """

    def __init__(
        self,
        work: Callable[[Request], AsyncIterator[Result]],
        response: Callable[[str, Result | status_pb2.Status, bool], Response],
        max_in_flight: int,
        is_partial: Callable[[Result], bool],
        num_results: Callable[[Request], int],
    ) -> None:
        self._work, self._response = work, response
        self._is_partial, self._num_results = is_partial, num_results
        self._task_by_name: dict[str, asyncio.Task[None]] = {}
        """Of the items that have no last answer and are not given up."""
        self.slots = asyncio.Semaphore(max_in_flight)
        self.answers: asyncio.Queue[tuple[Response, bool] | None] = asyncio.Queue()
        self._num_bytes = 0
        self._room = asyncio.Event()

    def taken(self, answer: Response) -> None:
        """An answer was taken: when few wait, more are made."""
        self._num_bytes -= _size(answer)
        if not self._wait(_MOST_UNSENT // 2, _MOST_UNSENT_BYTES // 2):
            self._room.set()

    def _wait(self, most: int, most_bytes: int) -> bool:
        """Whether so many answers wait, or so many bytes of them."""
        return self.answers.qsize() >= most or self._num_bytes >= most_bytes

    async def read(
        self,
        requests: AsyncIterator[Request],
        item_id: Callable[[Request], str],
        cancelled_id: Callable[[Request], str],
    ) -> None:
        """Begins and gives up items as the requests say; returns when all are answered."""
        try:
            async with asyncio.TaskGroup() as tasks:
                async for request in requests:
                    if given_up := cancelled_id(request):
                        self._cancel(given_up)
                        continue
                    await self.slots.acquire()
                    self._begin(tasks, item_id(request), request)
        finally:
            self.answers.put_nowait(None)

    def _begin(self, tasks: asyncio.TaskGroup, name: str, request: Request) -> None:
        if name in self._task_by_name:
            error = ConfigError(
                f"item_id: saw {name!r} while an item of that id is not answered yet, expected one "
                "of its own for each item of a stream; that one goes on"
            )
            self._put(name, status_of(error), last=True)
            return
        task = self._task_by_name[name] = tasks.create_task(self._answer(name, request))
        task.add_done_callback(lambda ended: self._ended(name, ended))

    async def _answer(self, name: str, request: Request) -> None:
        held: Result | None = None
        left, ended = self._num_results(request), False
        try:
            async for result in self._work(request):
                if self._wait(_MOST_UNSENT, _MOST_UNSENT_BYTES):  # the caller reads slowly
                    self._room.clear()
                    await self._room.wait()
                if held is not None:
                    self._put(name, held, last=False)
                    held = None
                if self._is_partial(result):
                    self._put(name, result, last=False)
                elif left:
                    left -= 1
                    ended = not left
                    self._put(name, result, last=ended)
                else:
                    held = result
            if not ended:
                if held is None:
                    raise RoundsmithError(f"item {name!r}: expected {left or 1} more, saw none")
                self._put(name, held, last=True)
        except Exception as error:
            if not ended:
                self._put(name, status_of(error), last=True)

    def _put(self, name: str, result: Result | status_pb2.Status, *, last: bool) -> None:
        answer = self._response(name, result, last)
        self._num_bytes += _size(answer)
        self.answers.put_nowait((answer, last))
        if last:
            self._forget(name, asyncio.current_task())

    def _cancel(self, given_up: str) -> None:
        if (task := self._task_by_name.pop(given_up, None)) is not None:
            task.cancel()

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._forget(name, task)
        if task.cancelled():  # its coroutine may never have begun, so that it can not answer
            error = Cancelled(f"item {name!r}: given up by its caller, so there is no answer")
            self._put(name, status_of(error), last=True)

    def _forget(self, name: str, task: asyncio.Task[None] | None) -> None:
        """From now on another item may have the name, unless another task's has it already."""
        if task is not None and self._task_by_name.get(name) is task:
            del self._task_by_name[name]


def _size(answer: object) -> int:
    return answer.ByteSize() if isinstance(answer, Message) else 0
