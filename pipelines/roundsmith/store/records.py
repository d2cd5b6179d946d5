"""The records of an evaluation: of one sample, which pass@k is counted from, and of one task."""

from dataclasses import dataclass

from roundsmith.types import Split
from roundsmith.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class EvalRecord:
    """One sample of an evaluation, resolved: `solved` counts for pass@k; `verdicts` are those of
    `tests`, which ran in this order up to the first that failed.
    """

    task_id: str
    split: Split
    sample_id: str
    index: int
    solved: bool
    strict: bool
    """Solved by the tests that the prompt does not show alone; never, where it shows them all."""
    tests: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    text: str
    prompt_tokens: int
    tokens: int
    """Sampled tokens of the completion."""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One task of an evaluation: how many of its samples were solved. `of` says whose they are:
    `before`, `after` or `control` in a round, `model` elsewhere. Temperature 0 is greedy.
    """

    task_id: str
    split: Split
    of: str
    temperature: float
    samples: int
    solved: int
    strict: int
    """See `EvalRecord`."""
