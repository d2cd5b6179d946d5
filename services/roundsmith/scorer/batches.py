"""Which waiting rows are in the next forward pass: rows of one bucket, a full bucket first."""

import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from roundsmith.scorer.rows import Row
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Score, ScoreItem

PATIENCE = 50
"""An item that waited this many lingers goes before full buckets."""


@dataclass(eq=False, slots=True)
class Waiting:
    """An item, who waits for it, and since when (monotonic seconds)."""

    item: ScoreItem
    answer: "Future[Score]" = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass answers: at most `num_rows` rows, padded to `length`."""

    waiting: tuple[Waiting, ...]
    rows: tuple[Row, ...]
    num_rows: int
    length: int


class Buckets:
    """Rows by padded length, the oldest first. Not safe for several threads."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._settings = settings
        self._queues: dict[int, deque[tuple[Waiting, Row]]] = {}

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def add(self, waiting: Waiting, row: Row) -> None:
        """Put a row where its length belongs."""
        step = self._settings.bucket_tokens
        length = -(-len(row.inputs) // step) * step
        self._queues.setdefault(length, deque()).append((waiting, row))

    def take(self, now: float) -> Batch | None:
        """The next batch, or None when it is better to wait for more until `due`."""
        oldest = min(self._queues, key=self._since, default=None)
        if oldest is None:
            return None
        age_s = now - self._since(oldest)
        full = [n for n, queue in self._queues.items() if len(queue) >= self._num_rows(n)]
        if full and age_s < PATIENCE * self._settings.linger_s:
            return self._pop(min(full, key=self._since))
        return self._pop(oldest) if age_s >= self._settings.linger_s else None

    def due(self) -> float:
        """When the oldest row goes even if its bucket is not full, in monotonic seconds."""
        return min(map(self._since, self._queues)) + self._settings.linger_s

    def clear(self) -> list[Waiting]:
        """Take everything out."""
        waiting = [waiting for queue in self._queues.values() for waiting, _ in queue]
        self._queues.clear()
        return waiting

    def _since(self, length: int) -> float:
        return self._queues[length][0][0].since

    def _num_rows(self, length: int) -> int:
        return max(1, self._settings.forward_tokens // length)

    def _pop(self, length: int) -> Batch:
        queue, num_rows = self._queues[length], self._num_rows(length)
        taken = [queue.popleft() for _ in range(min(num_rows, len(queue)))]
        if not queue:
            del self._queues[length]
        return Batch(tuple(w for w, _ in taken), tuple(row for _, row in taken), num_rows, length)
