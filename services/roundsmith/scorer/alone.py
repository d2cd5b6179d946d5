"""What waits for a model that takes one text at a time, the oldest first."""

from collections import deque

from roundsmith.scorer.chains import Chain, Run
from roundsmith.scorer.packing import Pass, Waiting, Work
from roundsmith.scorer.rows import Row


class OneByOne:
    """As `Packing`, but a pass is one whole row and nothing is shared."""

    def __init__(self) -> None:
        self._works: deque[Work] = deque()

    def __len__(self) -> int:
        return len(self._works)

    @property
    def full(self) -> bool:
        """One is enough."""
        return bool(self._works)

    def add(self, waiting: Waiting, row: Row) -> None:
        """Put a row behind the others."""
        chain = Chain(row.prefix + row.inputs)
        self._works.append(Work(waiting, row, chain, first=len(row.prefix)))

    def take(self, now: float) -> Pass | None:
        """The oldest row that is still waited for."""
        while self._works:
            work = self._works.popleft()
            if not work.waiting.answer.cancelled():
                work.waiting.begun = now
                length = len(work.chain.ids)
                run = Run(work.chain, 0, length, 0)
                return Pass(length, (run,), ((work, run),), (work,))
        return None

    def due(self) -> float:
        """A row never waits for others."""
        return self._works[0].waiting.since

    def computed(self, done: Pass) -> int:
        """Nothing is kept, and no token of a prompt is saved."""
        return 0

    def clear(self) -> list[Waiting]:
        """Take everything out."""
        waiting = [work.waiting for work in self._works]
        self._works.clear()
        return waiting
