"""Records beside the rows: of an evaluation's samples, which pass@k is counted from, of its tasks,
and of training rows that were dropped.
"""

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
    seed: int | None = None
    """Of the draw; None where a row of an earlier version does not tell. So of the next, empty."""
    weights_sha256: str = ""
    tier: str = ""
    """Isolation tier that it was judged in; several are told with commas. So of the next."""
    image: str = ""


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


@dataclass(frozen=True, slots=True)
class DroppedRow:
    """A training row that was dropped because it is too near to a held-out task, and why."""

    row_id: str
    task_id: str
    """The training task that it was made from."""
    why: str
    """`exact`, `text`, `n-gram` or `near-duplicate`."""
    held_out: str
    """The held-out task, where one is told."""
    evidence: str
    """The text or the n-gram that both hold, or how much they are alike."""
