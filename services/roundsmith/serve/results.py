"""Results of items, kept for a while, so that an item is never done twice for one caller."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import uuid4

from google.protobuf.message import Message

from roundsmith.errors import RoundsmithError, Unavailable
from roundsmith.serve.failures import as_failure
from roundsmith.serve.load import Load
from roundsmith.serve.packed import Encodable, PackedResults

Key = tuple[str, ...]
Result = TypeVar("Result", bound=Encodable)


def item_key(caller: str, request_id: str, item_id: str, content: Message) -> Key:
    """What makes two items the same: who asks, under which ids, for what. Without a request_id no
    two are. It is kept as long as the item's results, and is short however long the ids are.
    """
    ids = (request_id or uuid4().hex).encode(), item_id.encode()
    parts = (*ids, content.SerializeToString(deterministic=True))
    return (caller, *(hashlib.sha256(part).hexdigest() for part in parts))


@dataclass
class _Entry(Generic[Result]):
    """What is known of one item; `changed` is set and replaced whenever there is more."""

    results: PackedResults[Result] = field(default_factory=PackedResults)
    error: RoundsmithError | None = None
    finished_at: float | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    followers: int = 0
    item_bytes: int = 0
    task: asyncio.Task[None] | None = None


class ItemResults(Generic[Result]):
    """Results by (caller, request, item), kept `ttl_s` seconds after the item is done, at most
    `max_entries` items and `max_bytes` of their encoded results.

    An item that is asked for again is followed, not begun again; when nobody follows an unfinished
    item any more its work is cancelled. Errors are not kept, so that a retry tries. Beyond
    `max_running` unfinished items, or `max_running_bytes` of them, a further one is refused as
    Overloaded, and one caller may have half of that.
    """

    def __init__(
        self,
        ttl_s: float,
        max_entries: int,
        max_bytes: int,
        max_running: int = 8192,
        max_running_bytes: int = 2**30,
    ) -> None:
        self._ttl_s, self._max_entries = ttl_s, max_entries
        self._max_bytes, self._num_bytes = max_bytes, 0
        self._load = Load("items", max_running)
        self._load_bytes = Load("bytes of items", max_running_bytes)
        self._running: dict[Key, _Entry[Result]] = {}
        self._kept: OrderedDict[Key, _Entry[Result]] = OrderedDict()  # in order of finishing

    async def follow(
        self, key: Key, begin: Callable[[], AsyncIterator[Result]], item_bytes: int = 0
    ) -> AsyncIterator[Result]:
        """Yields the item's results from the first on; raises what its work raised. `item_bytes` is
        the size of the item.
        """
        self._expire()
        entry = self._running.get(key) or self._kept.get(key)
        entry = entry or self._begin(key, begin, item_bytes)
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

    def _begin(
        self, key: Key, begin: Callable[[], AsyncIterator[Result]], item_bytes: int
    ) -> _Entry[Result]:
        self._load.refuse(key[0], 1)
        self._load_bytes.begin(key[0], item_bytes)
        self._load.begin(key[0], 1)
        entry = self._running[key] = _Entry(item_bytes=item_bytes)
        entry.task = asyncio.create_task(self._fill(key, entry, begin))
        return entry

    def _ended(self, key: Key, entry: _Entry[Result]) -> bool:
        """Whether the entry was still the one under way, which it is no more."""
        if self._running.get(key) is not entry:
            return False
        del self._running[key]
        self._load.end(key[0], 1)
        self._load_bytes.end(key[0], entry.item_bytes)
        return True

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
            if self._ended(key, entry) and entry.error is None:
                self._keep(key, entry)
            _notify(entry)

    def _abandon(self, key: Key, entry: _Entry[Result]) -> None:
        self._ended(key, entry)
        if entry.task is not None:
            entry.task.cancel()

    def _keep(self, key: Key, entry: _Entry[Result]) -> None:
        entry.results.pack()
        self._kept[key] = entry
        self._num_bytes += entry.results.num_bytes
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
            self._num_bytes -= entry.results.num_bytes


def _notify(entry: _Entry[Result]) -> None:
    changed, entry.changed = entry.changed, asyncio.Event()
    changed.set()
