"""What an execution can end in, and what each end is allowed to become.

The accounting lives here, once: which outcomes may train, which count as solved, which must be run
again.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

from roundsmith.errors import IncompleteEvaluation


class Label(StrEnum):
    """What a client may conclude from an outcome; anything a client does not know is NONE."""

    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"
    NONE = "NONE"


class Verdict(StrEnum):
    """How one program ended on one test."""

    PASS = "PASS"
    FAIL = "FAIL"
    ERROR = "ERROR"
    COMPILE_ERROR = "COMPILE_ERROR"
    CPU_TIMEOUT = "CPU_TIMEOUT"
    WALL_TIMEOUT = "WALL_TIMEOUT"
    MEMORY = "MEMORY"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    FILE_LIMIT = "FILE_LIMIT"
    PROCESS_LIMIT = "PROCESS_LIMIT"
    SIGNALED = "SIGNALED"
    DENIED = "DENIED"
    EXITED_EARLY = "EXITED_EARLY"
    TAMPERED = "TAMPERED"
    FLAKY = "FLAKY"
    CANCELLED = "CANCELLED"
    INFRA_ERROR = "INFRA_ERROR"
    UNKNOWN = "UNKNOWN"
    """A verdict of a later server, which this client does not know: never solved, never a label."""

    @property
    def label(self) -> Label:
        """PASS is positive, an ordinary failure negative; what says nothing about the program is
        NONE.
        """
        if self is Verdict.PASS:
            return Label.POSITIVE
        return Label.NONE if self in _NO_LABEL else Label.NEGATIVE

    @property
    def resolved(self) -> bool:
        """False for what must be run again: the sandbox failed or the run was cancelled."""
        return self not in _UNRESOLVED


_UNRESOLVED = frozenset({Verdict.CANCELLED, Verdict.INFRA_ERROR})
_NO_LABEL = _UNRESOLVED | {Verdict.TAMPERED, Verdict.FLAKY, Verdict.UNKNOWN}


class Judged(Protocol):
    """What the accounting reads of an outcome."""

    @property
    def verdict(self) -> Verdict: ...
    @property
    def near_limit(self) -> bool: ...


def solved(outcomes: Iterable[Judged]) -> bool:
    """Whether a sample with these outcomes, one a test, counts as solved for pass@k.

    Only PASS on every test counts; TAMPERED, FLAKY and what ended near its limit are not solved.
    Raises IncompleteEvaluation when a verdict is not resolved or there is none, because such a
    sample must be run again and may not leave or enter a denominator.
    """
    seen = list(outcomes)
    if not seen or not all(outcome.verdict.resolved for outcome in seen):
        raise IncompleteEvaluation(
            "expected a resolved verdict for every test, saw "
            f"{[str(o.verdict) for o in seen] or 'none'}: run again"
        )
    return all(outcome.verdict is Verdict.PASS and not outcome.near_limit for outcome in seen)


def reward(outcomes: Iterable[Judged]) -> float | None:
    """1.0 for solved, 0.0 for not (TAMPERED too), None to mask a sample that the sandbox failed
    on.
    """
    seen = list(outcomes)
    resolved = seen and all(outcome.verdict.resolved for outcome in seen)
    return float(solved(seen)) if resolved else None
