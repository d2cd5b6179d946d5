"""Cells that were run, kept by content for the caller that they were run for, so that none is run
twice: a later one is answered from here, one that is under way is waited for.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from roundsmith.executor.alone import Result
from roundsmith.executor.content import selected
from roundsmith.executor.matrix import Column, PlannedRow, Rules
from roundsmith.executor.slots import Place
from roundsmith.types import Limits
from roundsmith.verdicts import Verdict

_ROW_BYTES, _CELL_BYTES = 400, 300
"""What one takes besides its detail, as measured with Python 3.11."""
_NEVER = frozenset({Verdict.INFRA_ERROR, Verdict.CANCELLED, Verdict.FLAKY})

RowKey = tuple[str, str, Limits, bytes]
"""Who asks, the import profile, the limits, and the program by its digest."""
Ran = tuple[Result, Place]
"""What a cell came to, and where."""
Known = tuple[Column, Ran]


@dataclass(slots=True)
class _KeptRow:
    """The cells of one program by the digests of their tests."""

    cells: dict[bytes, Ran] = field(default_factory=dict)
    num_bytes: int = _ROW_BYTES
    kept_at: float = 0.0

    def known(
        self, columns: Sequence[Column], program: bytes, share: float, places: Collection[Place]
    ) -> dict[bytes, Ran]:
        """What is known of these cells, by test: nothing where chance picks one that was not run
        alone, because it must be run beside the others again.
        """
        found = {}
        for column in columns:
            ran = self.cells.get(column.digest)
            if ran is not None and ran[1] in places:
                if not ran[0].alone and selected(program, column.digest, share):
                    return {}
                found[column.digest] = ran
        return found


class Claim:
    """What becomes of the cells of one row: known already, the claimer's to run, or under way for
    another claimer.
    """

    def __init__(self, key: RowKey) -> None:
        self.key = key
        self.found: list[Known] = []
        self.mine: list[Column] = []
        self.theirs: list[Column] = []
        self.theirs_claim: Claim | None = None
        """The last of the claims that run those."""
        self.when_settled: list[Callable[[], object]] = []
        """Called when all of `mine` have been run, or will not be."""
        self.num_open = 0
        """How many others would wait for."""


class KeptCells:
    """What was run, at most `most_bytes` of it and each row `ttl_s` seconds after it was last
    added to. One caller never sees what was run for another.
    """

    def __init__(self, most_bytes: int, ttl_s: float) -> None:
        self._most_bytes, self._ttl_s = most_bytes, ttl_s
        self._rows: OrderedDict[RowKey, _KeptRow] = OrderedDict()  # in order of keeping
        self._running: dict[RowKey, dict[bytes, Claim]] = {}
        self.num_bytes = 0

    def claim(
        self, key: RowKey, columns: Sequence[Column], rules: Rules, places: Collection[Place]
    ) -> Claim:
        """Claims the cells that nobody runs. What is known counts where it was run in one of
        `places`.

        Of a row that may stop early what comes first decides: all from its first unknown cell on
        are the claimer's, or for later where that one is under way.
        """
        self._expire()
        row, running = self._rows.get(key), self._running.get(key, {})
        known = row.known(columns, key[3], rules.rerun_share, places) if row else {}
        claim = Claim(key)
        for at, column in enumerate(columns):
            if claim.mine and rules.stop:
                claim.mine.append(column)
            elif ran := known.get(column.digest):
                claim.found.append((column, ran))
            elif other := running.get(column.digest):
                claim.theirs.append(column)
                claim.theirs_claim = other
                if rules.stop:
                    claim.theirs.extend(columns[at + 1 :])
                    break
            else:
                claim.mine.append(column)
        if claim.mine:
            mine = self._running.setdefault(key, {})
            # A row that may stop early has what is the same twice, which is run for both at once.
            for digest in {column.digest for column in claim.mine} - mine.keys():
                mine[digest] = claim
                claim.num_open += 1
        return claim

    def settle(self, claim: Claim, columns: Sequence[Column], known: Sequence[Known]) -> None:
        """Claimed cells are not run any more: this came of them, or nothing."""
        running = self._running.get(claim.key, {})
        for column in columns:
            if running.get(column.digest) is claim:
                del running[column.digest]
                claim.num_open -= 1
        for column, (result, place) in known:
            if result.trusted and not result.near_limit and result.verdict not in _NEVER:
                self._keep(claim.key, column.digest, (result._replace(left_out=0), place))
        if not running:
            self._running.pop(claim.key, None)
        if not claim.num_open:
            calls, claim.when_settled = claim.when_settled, []
            for call in calls:
                call()
        self._expire()

    def _keep(self, key: RowKey, test: bytes, ran: Ran) -> None:
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _KeptRow()
            self.num_bytes += row.num_bytes
        self._rows.move_to_end(key)
        row.kept_at = time.monotonic()
        before = row.cells.get(test)
        grown = _size(ran) - (_size(before) if before else 0)
        row.cells[test] = ran
        row.num_bytes += grown
        self.num_bytes += grown

    def _expire(self) -> None:
        """Forgets what is too old or too much, the longest kept first."""
        oldest = time.monotonic() - self._ttl_s
        while self._rows:
            key, row = next(iter(self._rows.items()))
            if self.num_bytes <= self._most_bytes and row.kept_at > oldest:
                break
            del self._rows[key]
            self.num_bytes -= row.num_bytes


def _size(ran: Ran) -> int:
    return _CELL_BYTES + len(ran[0].ending.detail)


class Memory:
    """What was run before for one caller, for the rows of an item; it counts in these `places`."""

    def __init__(
        self, kept: KeptCells, caller: str, profile: str, rules: Rules, places: Collection[Place]
    ) -> None:
        self._kept, self._caller, self._profile = kept, caller, profile
        self._rules, self._places = rules, places

    def claim(self, row: PlannedRow, columns: Sequence[Column]) -> Claim:
        """What is known of these cells, and which of the others nobody runs."""
        key = (self._caller, self._profile, row.limits, row.digest)
        return self._kept.claim(key, columns, self._rules, self._places)

    def settle(self, claim: Claim, columns: Sequence[Column], known: Sequence[Known]) -> None:
        """Claimed cells are not run any more: this came of them, or nothing."""
        self._kept.settle(claim, columns, known)
