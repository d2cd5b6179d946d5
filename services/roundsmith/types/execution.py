"""What the executor is asked, and what it answers. Times are CPU or wall seconds, sizes bytes."""

from dataclasses import dataclass
from enum import StrEnum

from roundsmith.types.tasks import OwnLimits, Test
from roundsmith.verdicts import Label, Verdict


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. CPU time is the limit; wall time is `wall_factor` times it."""

    cpu_s: float = 2.0
    memory_bytes: int = 512 * 2**20
    output_bytes: int = 64 * 2**10
    file_bytes: int = 16 * 2**20
    processes: int = 1
    wall_factor: float = 4.0


@dataclass(frozen=True, slots=True)
class Program:
    """One code of a matrix. `setup` runs before it, and is the task's, not the model's."""

    code_id: str
    source: str
    setup: str = ""
    limits: OwnLimits | None = None


@dataclass(frozen=True, slots=True)
class ExecuteItem:
    """A code × test matrix. `cells` are (code_id, test_id) pairs; empty means all of them."""

    item_id: str
    programs: tuple[Program, ...]
    tests: tuple[Test, ...]
    cells: tuple[tuple[str, str], ...] = ()
    limits: Limits = Limits()
    profile: str = "base"
    stop_row_on_failure: bool = False
    """Leave out the rest of a program's tests after its first failure."""
    rerun_share: float | None = None
    """The share of the cells which passed beside others that is run again alone; None means the
    server's.
    """
    stop_row_after_timeouts: int = 0
    """Leave out the rest of a program's tests after so many that ran out of time; 0 means never."""
    no_cache: bool = False
    """Run every cell, also those that were run for the same caller before."""


class JudgedAt(StrEnum):
    """Where the comparison ran."""

    OUTSIDE = "outside"
    """Outside the sandbox: the program never held the expected value."""
    INSIDE = "inside"
    """In a test process beside the program."""
    SAME_PROCESS = "same process"
    """In the program's own process, where a hostile program can pass."""


class Phase(StrEnum):
    """What was going on when a run ended."""

    COMPILE = "compile"
    """The program was compiled."""
    LOAD = "load"
    """The program's own statements ran, before it was asked anything."""
    RUN = "run"
    """It was asked; a script runs as a whole."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one program did on one test. `near_limit` outcomes may not repeat and never train."""

    code_id: str
    test_id: str
    verdict: Verdict
    judge: JudgedAt
    tier: str
    image: str
    near_limit: bool = False
    detail: str = ""
    """For a person: the exception's last line, what was expected, what was denied."""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    phase: Phase = Phase.RUN
    left_out: int = 0
    """How many cells of the row are left out after this one; they have no outcome."""

    @property
    def label(self) -> Label:
        return Label.NONE if self.near_limit else self.verdict.label
