"""Cells that are to be run together, and what is tried next when the sandbox failed them."""

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from roundsmith.errors import SandboxError
from roundsmith.executor.kept import Claim
from roundsmith.executor.matrix import Column, PlannedRow
from roundsmith.executor.supervisor import Bystander, NotStarted
from roundsmith.executor.tally import Tally


@dataclass(slots=True)
class Job:
    """Cells of one row that are to be run, for the how manieth time. `num_timeouts` of the row came
    before; `claim` is held where what is the same is run once.
    """

    row: PlannedRow
    columns: list[Column]
    num_timeouts: int = 0
    attempt: int = 1
    claim: Claim | None = None

    def joins(self, other: "Job") -> bool:
        """Whether the two can be run as one."""
        return self.row is other.row and self.attempt == other.attempt

    def join(self, columns: Collection[Column]) -> None:
        """Runs these cells of its row too, in the order of the row: what comes before a cell may
        change what comes of it.
        """
        wanted = {id(column) for column in (*self.columns, *columns)}
        self.columns = [column for column in self.row.columns if id(column) in wanted]


class Patience:
    """Gives cells of an item up after so many attempts, or when for so many seconds no sandbox has
    started for them and none of the pool has done its work.
    """

    def __init__(self, attempts: int, start_s: float, tally: Tally) -> None:
        self._attempts, self._start_s, self._tally = attempts, start_s, tally
        self._unstarted_since: float | None = None

    def again(self, job: Job, columns: list[Column], error: SandboxError) -> Job | None:
        """The next try for these cells of a job, None when they are given up. An attempt is what
        was run, and had nothing else to blame.
        """
        tried = replace(job, columns=columns, claim=None)
        match error:
            case Bystander():
                return tried
            case NotStarted():
                if self._unstarted_since is None:
                    self._unstarted_since = time.monotonic()
                return None if self.over else tried
        self._unstarted_since = None
        tried.attempt += 1
        return tried if tried.attempt <= self._attempts else None

    @property
    def over(self) -> bool:
        """Whether no sandbox has started for so long."""
        if self._unstarted_since is None:
            return False
        since = max(self._unstarted_since, self._tally.confirmed_at)
        return time.monotonic() - since > self._start_s
