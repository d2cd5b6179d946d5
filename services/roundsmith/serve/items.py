"""Streams of items: each is worked on by itself, answered in any order, and never done twice for
one caller.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from google.protobuf.message import Message
from google.rpc import status_pb2
from roundsmith.errors import RoundsmithError
from roundsmith.serve.status import to_status

Key = tuple[str, ...]
Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")


def item_key(caller: str, request_id: str, item_id: str, content: Message) -> Key:
    """What makes two items the same: who asks, under which ids, for what."""
    body = content.SerializeToString(deterministic=True)
    return (caller, request_id, item_id, hashlib.sha256(body).hexdigest())


@dataclass
class _Entry(Generic[Result]):
    """What is known of one item; `changed` is set and replaced whenever there is more."""

    results: list[Result] = field(default_factory=list)
    error: RoundsmithError | None = None
    finished_at: float | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    followers: int = 0
    task: asyncio.Task[None] | None = None


class ItemResults(Generic[Result]):
    """Results by (caller, request, item), kept `ttl_s` seconds after the item is done.

    An item that is asked for again is followed, not begun again; when nobody follows an unfinished
    item any more its work is cancelled. Errors are not kept, so that a retry tries.
    """

    def __init__(self, ttl_s: float, max_entries: int) -> None:
        self._ttl_s, self._max_entries = ttl_s, max_entries
        self._entries: OrderedDict[Key, _Entry[Result]] = OrderedDict()

    async def follow(
        self, key: Key, begin: Callable[[], AsyncIterator[Result]]
    ) -> AsyncIterator[Result]:
        """Yields the item's results from the first on; raises what its work raised."""
        self._expire()
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
            entry.task = asyncio.create_task(self._fill(key, entry, begin))
        entry.followers += 1
        try:
            seen = 0
            while True:
                changed = entry.changed
                for result in entry.results[seen:]:
                    seen += 1
                    yield result
                if seen == len(entry.results) and entry.finished_at is not None:
                    break
                if entry.changed is changed:
                    await changed.wait()
            if entry.error is not None:
                raise entry.error
        finally:
            entry.followers -= 1
            if not entry.followers and entry.finished_at is None:
                self._drop(key, entry)
                if entry.task is not None:
                    entry.task.cancel()

    async def _fill(
        self, key: Key, entry: _Entry[Result], begin: Callable[[], AsyncIterator[Result]]
    ) -> None:
        try:
            async for result in begin():
                entry.results.append(result)
                _notify(entry)
        except RoundsmithError as error:
            entry.error = error
        except Exception as error:
            entry.error = RoundsmithError(f"internal error: {type(error).__name__}: {error}")
            raise
        finally:
            entry.finished_at = time.monotonic()
            if entry.error is not None:
                self._drop(key, entry)
            _notify(entry)

    def _drop(self, key: Key, entry: _Entry[Result]) -> None:
        if self._entries.get(key) is entry:
            del self._entries[key]

    def _expire(self) -> None:
        """Forgets what is old, oldest first; an unfinished item stops the sweep only for itself."""
        oldest = time.monotonic() - self._ttl_s
        for key in list(self._entries)[: max(64, len(self._entries) - self._max_entries)]:
            entry = self._entries[key]
            surplus = len(self._entries) > self._max_entries
            if entry.finished_at is not None and (surplus or entry.finished_at <= oldest):
                del self._entries[key]


def _notify(entry: _Entry[Result]) -> None:
    changed, entry.changed = entry.changed, asyncio.Event()
    changed.set()


async def answer_items(
    requests: AsyncIterator[Request],
    item_id: Callable[[Request], str],
    work: Callable[[Request], AsyncIterator[Result]],
    response: Callable[[str, Result | status_pb2.Status, bool], Response],
    max_in_flight: int,
) -> AsyncIterator[Response]:
    """Answers a stream of items: `response(item_id, result or status, last)` for each result of
    `work`.

    A result is sent when the next one, or the end, is known, so that the last one can say so.
    Requests are read only while fewer than `max_in_flight` items are unanswered; closing the
    iterator cancels all.
    """
    slots = asyncio.Semaphore(max_in_flight)
    answers: asyncio.Queue[tuple[Response, bool] | None] = asyncio.Queue()

    async def answer(request: Request) -> None:
        name = item_id(request)
        held: Result | None = None
        try:
            async for result in work(request):
                if held is not None:
                    answers.put_nowait((response(name, held, False), False))
                held = result
            if held is None:
                raise RoundsmithError(f"item {name!r}: expected a result, saw none")
            answers.put_nowait((response(name, held, True), True))
        except RoundsmithError as error:
            answers.put_nowait((response(name, to_status(error), True), True))

    async def read() -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                async for request in requests:
                    await slots.acquire()
                    tasks.create_task(answer(request))
        finally:
            answers.put_nowait(None)

    reader = asyncio.create_task(read())
    try:
        while (answered := await answers.get()) is not None:
            message, last = answered
            yield message
            if last:
                slots.release()
        await reader
    finally:
        reader.cancel()
