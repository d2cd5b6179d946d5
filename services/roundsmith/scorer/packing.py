"""What waits, and what of it is in the next forward pass: whole texts and parts of them, end to
end, the completions of one prompt behind that prompt.
"""

import time
from collections import OrderedDict, deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from roundsmith.scorer.chains import Chain, Run
from roundsmith.scorer.rows import Row
from roundsmith.types import Score, ScoreItem

SCANNED = 256
"""So many prompts that do not fit a pass, and completions of one, are looked at for it."""


@dataclass(eq=False, slots=True)
class Waiting:
    """An item, who waits for it, and since when (monotonic seconds)."""

    item: ScoreItem
    answer: "Future[Score]" = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)
    begun: float = 0.0
    """When it was first a part of a pass."""


@dataclass(eq=False, slots=True)
class Work:
    """A row under way. `first` is the place in its chain after which it is read."""

    waiting: Waiting
    row: Row
    chain: Chain
    first: int = 0
    found: list[float] = field(default_factory=list)
    """Log-probabilities of the targets so far, or the one P(yes)."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass over `tokens` places. `reads` says which runs belong to a row, and
    `finished` which rows end with it.
    """

    tokens: int
    runs: tuple[Run, ...]
    reads: tuple[tuple[Work, Run], ...]
    finished: tuple[Work, ...]

    @property
    def num_texts(self) -> int:
        """Tokens that are no padding."""
        return sum(run.stop - run.start for run in self.runs)


@dataclass(eq=False, slots=True)
class _Group:
    """Rows that wait, all behind the same prompt."""

    ids: tuple[int, ...]
    prefix: Chain | None
    works: list[Work]

    @property
    def left(self) -> int:
        """Tokens that are in no pass yet."""
        left = sum(work.chain.left for work in self.works)
        return left if self.prefix is None else left + self.prefix.left


class Packing:
    """Rows by prompt, the oldest first. Not safe for several threads."""

    def __init__(self, tokens: int, block: int, linger_s: float, prefix_bytes: int) -> None:
        """Passes of `tokens` places; a text is cut at multiples of `block`."""
        self._tokens, self._block = tokens, block
        self._linger_s, self._prefix_bytes = linger_s, prefix_bytes
        self._order: deque[_Group] = deque()
        self._open: dict[tuple[int, ...], _Group] = {}
        """Those that take rows still: nothing of them is in a pass yet."""
        self._prefixes: OrderedDict[tuple[int, ...], Chain] = OrderedDict()
        self._num_rows = self._kept_bytes = self._reused = 0

    def __len__(self) -> int:
        return self._num_rows

    @property
    def full(self) -> bool:
        """Whether there is enough for a pass."""
        tokens = 0
        return any((tokens := tokens + group.left) >= self._tokens for group in self._order)

    def add(self, waiting: Waiting, row: Row) -> None:
        """Put a row to those of its prompt."""
        group = self._open.get(row.prefix)
        prefix = self._prefix(row.prefix)
        if group is None:
            group = self._open[row.prefix] = _Group(row.prefix, prefix, [])
            self._order.append(group)
        group.works.append(Work(waiting, row, Chain(row.inputs, group.prefix)))
        self._num_rows += 1

    def take(self, now: float) -> Pass | None:
        """The next pass, or None when it is better to wait for more until `due`."""
        if not self._order or (now < self.due() and not self.full):
            return None
        plan = _Plan(self._tokens, self._block, now)
        left: list[_Group] = []
        while self._order and plan.room and len(left) < SCANNED:
            self._plan(group := self._order.popleft(), plan)
            if group.works:
                left.append(group)
        self._order.extendleft(reversed(left))
        return plan.made()

    def due(self) -> float:
        """When the oldest row goes even if the pass is not full, in monotonic seconds."""
        return self._order[0].works[0].waiting.since + self._linger_s

    def computed(self, done: Pass) -> int:
        """After a pass, which fills what is kept of prompts: let go of those that were asked for
        the longest ago, as far as they are too many. Returns how many tokens of prompts needed not
        be computed again since the last pass.
        """
        for chain in {run.chain for run in done.runs if run.chain.followed}:
            if self._prefixes.get(chain.ids) is chain:
                self._kept_bytes += chain.count_bytes()
        while self._kept_bytes > self._prefix_bytes:
            _, oldest = self._prefixes.popitem(last=False)
            self._kept_bytes -= oldest.num_bytes
        reused, self._reused = self._reused, 0
        return reused

    def clear(self) -> list[Waiting]:
        """Take everything out, and forget what was computed."""
        waiting = [work.waiting for group in self._order for work in group.works]
        for held in (self._order, self._open, self._prefixes):
            held.clear()
        self._num_rows = self._kept_bytes = 0
        return waiting

    def _prefix(self, ids: tuple[int, ...]) -> Chain | None:
        if not ids:
            return None
        if (known := self._prefixes.get(ids)) is not None:
            self._reused += len(ids)
            self._prefixes.move_to_end(ids)
            return known
        made = self._prefixes[ids] = Chain(ids, followed=True)
        return made

    def _plan(self, group: _Group, plan: "_Plan") -> None:
        """Put what fits of a prompt and its completions into the pass."""
        if not plan.room:
            return
        before = len(group.works)
        group.works = [w for w in group.works if not w.waiting.answer.cancelled()]
        if group.works and group.prefix is not None:
            plan.add(group.prefix)
        if group.prefix is None or not group.prefix.left:
            for work in group.works[:SCANNED]:
                plan.add(work.chain, work)
            group.works = [work for work in group.works if work.chain.left]
        if self._open.get(group.ids) is group:
            del self._open[group.ids]
        self._num_rows -= before - len(group.works)


class _Plan:
    """A pass that is being made."""

    def __init__(self, tokens: int, block: int, now: float) -> None:
        self._tokens, self._block, self._now = tokens, block, now
        self.room = tokens
        self._runs: list[Run] = []
        self._reads: list[tuple[Work, Run]] = []
        self._finished: list[Work] = []

    def add(self, chain: Chain, work: Work | None = None) -> int:
        """As much of a chain as fits; how many tokens that is."""
        num = chain.left if chain.left <= self.room else self.room // self._block * self._block
        if not num:
            return 0
        start = chain.planned
        chain.planned = start + num
        run = Run(chain, start, chain.planned, self._tokens - self.room)
        self.room -= num
        self._runs.append(run)
        if work is not None:
            work.waiting.begun = work.waiting.begun or self._now
            self._reads.append((work, run))
            if not chain.left:
                self._finished.append(work)
        return num

    def made(self) -> Pass | None:
        """The pass; None when there is nothing in it."""
        if not self._runs:
            return None
        return Pass(self._tokens, tuple(self._runs), tuple(self._reads), tuple(self._finished))
