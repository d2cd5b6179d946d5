"""What the executor is asked, and what it answers. Times are CPU or wall seconds, sizes bytes."""

from dataclasses import dataclass
from enum import StrEnum

from roundsmith.types.tasks import Test
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
    """Skip the rest of a program's tests after its first failure; skipped cells have no outcome."""


class JudgedAt(StrEnum):
    """Where the comparison ran: outside the solver's process, or (assert tests) in a test process
    beside it.
    """

    OUTSIDE = "outside"
    INSIDE = "inside"


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

    @property
    def label(self) -> Label:
        return Label.NONE if self.near_limit else self.verdict.label
