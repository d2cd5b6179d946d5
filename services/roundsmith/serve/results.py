"""Results of items, kept for a while, so that an item is never done twice for one caller."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from uuid import uuid4

from google.protobuf.message import Message

from roundsmith.errors import Overloaded, RoundsmithError, Unavailable
from roundsmith.serve.failures import as_failure

Key = tuple[str, ...]
Result = TypeVar("Result", bound="Sized")


class Sized(Protocol):
    """What is kept by its size: a message."""

    def ByteSize(self) -> int: ...


def item_key(caller: str, request_id: str, item_id: str, content: Message) -> Key:
    """What makes two items the same: who asks, under which ids, for what. Without a request_id no
    two are.
    """
    body = content.SerializeToString(deterministic=True)
    return (caller, request_id or uuid4().hex, item_id, hashlib.sha256(body).hexdigest())


@dataclass
class _Entry(Generic[Result]):
    """What is known of one item; `changed` is set and replaced whenever there is more."""

    results: list[Result] = field(default_factory=list)
    error: RoundsmithError | None = None
    finished_at: float | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    followers: int = 0
    task: asyncio.Task[None] | None = None

    def num_bytes(self) -> int:
        return sum(result.ByteSize() for result in self.results)


class ItemResults(Generic[Result]):
    """Results by (caller, request, item), kept `ttl_s` seconds after the item is done, at most
    `max_entries` items and `max_bytes` of their encoded results.

    An item that is asked for again is followed, not begun again; when nobody follows an unfinished
    item any more its work is cancelled. Errors are not kept, so that a retry tries. Beyond
    `max_running` unfinished items a further one is refused as Overloaded.
    """

    def __init__(
        self, ttl_s: float, max_entries: int, max_bytes: int, max_running: int = 8192
    ) -> None:
        self._ttl_s, self._max_entries, self._max_running = ttl_s, max_entries, max_running
        self._max_bytes, self._num_bytes = max_bytes, 0
        self._running: dict[Key, _Entry[Result]] = {}
        self._kept: OrderedDict[Key, _Entry[Result]] = OrderedDict()  # in order of finishing

    async def follow(
        self, key: Key, begin: Callable[[], AsyncIterator[Result]]
    ) -> AsyncIterator[Result]:
        """Yields the item's results from the first on; raises what its work raised."""
        self._expire()
        entry = self._running.get(key) or self._kept.get(key) or self._begin(key, begin)
        entry.followers += 1
        try:
            seen = 0
            while True:
                changed = entry.changed
                while seen < len(entry.results):
                    seen += 1
                    yield entry.results[seen - 1]
                if entry.finished_at is not None:
                    break
                await changed.wait()
            if entry.error is not None:
                raise entry.error
        finally:
            entry.followers -= 1
            if not entry.followers and entry.finished_at is None:
                self._abandon(key, entry)

    def _begin(self, key: Key, begin: Callable[[], AsyncIterator[Result]]) -> _Entry[Result]:
        if len(self._running) >= self._max_running:
            raise Overloaded(
                f"expected fewer than {self._max_running} items under way, saw as many: "
                "send the item again after the time in RetryInfo"
            )
        entry = self._running[key] = _Entry()
        entry.task = asyncio.create_task(self._fill(key, entry, begin))
        return entry

    async def _fill(
        self, key: Key, entry: _Entry[Result], begin: Callable[[], AsyncIterator[Result]]
    ) -> None:
        try:
            async for result in begin():
                entry.results.append(result)
                _notify(entry)
        except asyncio.CancelledError:
            entry.error = Unavailable("the item's work was cancelled: send it again")
            raise
        except Exception as error:
            entry.error = as_failure(error)
        finally:
            entry.finished_at = time.monotonic()
            if self._running.get(key) is entry:
                del self._running[key]
                if entry.error is None:
                    self._keep(key, entry)
            _notify(entry)

    def _abandon(self, key: Key, entry: _Entry[Result]) -> None:
        if self._running.get(key) is entry:
            del self._running[key]
        if entry.task is not None:
            entry.task.cancel()

    def _keep(self, key: Key, entry: _Entry[Result]) -> None:
        self._kept[key] = entry
        self._num_bytes += entry.num_bytes()
        self._expire()

    def _expire(self) -> None:
        """Forgets what is too old or too much, the longest finished first."""
        oldest = time.monotonic() - self._ttl_s
        while self._kept:
            key, entry = next(iter(self._kept.items()))
            old = entry.finished_at is not None and entry.finished_at <= oldest
            many = len(self._kept) > self._max_entries or self._num_bytes > self._max_bytes
            if not old and not many:
                break
            del self._kept[key]
            self._num_bytes -= entry.num_bytes()


def _notify(entry: _Entry[Result]) -> None:
    changed, entry.changed = entry.changed, asyncio.Event()
    changed.set()
