"""Cells that are to be run together, and what is tried next when the sandbox failed them."""

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from roundsmith.errors import SandboxError
from roundsmith.executor.kept import Claim
from roundsmith.executor.matrix import Column, PlannedRow
from roundsmith.executor.supervisor import Bystander, NotStarted


@dataclass(frozen=True, slots=True)
class Patience:
    """When it is given up that the sandbox fails: after so many attempts, or when none has started
    for so many seconds.
    """

    attempts: int
    start_s: float


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
    unstarted_since: float | None = None
    """Since when no sandbox has started for it."""

    def again(self, columns: list[Column], error: SandboxError, patience: Patience) -> "Job | None":
        """The next try for these cells of it, None when it is given up. An attempt counts when it
        was run, and nothing else was to blame.
        """
        tried = replace(self, columns=columns, claim=None)
        match error:
            case Bystander():
                return tried
            case NotStarted():
                now = time.monotonic()
                since = now if self.unstarted_since is None else self.unstarted_since
                waits = now - since <= patience.start_s
                return replace(tried, unstarted_since=since) if waits else None
        ran = replace(tried, attempt=self.attempt + 1, unstarted_since=None)
        return ran if ran.attempt <= patience.attempts else None

    def joins(self, other: "Job") -> bool:
        """Whether the two can be run as one."""
        return self.row is other.row and self.attempt == other.attempt

    def join(self, columns: Collection[Column]) -> None:
        """Runs these cells of its row too, in the order of the row: what comes before a cell may
        change what comes of it.
        """
        wanted = {id(column) for column in (*self.columns, *columns)}
        self.columns = [column for column in self.row.columns if id(column) in wanted]
