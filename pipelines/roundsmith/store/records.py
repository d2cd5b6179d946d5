"""The record of one evaluated sample: what pass@k is counted from."""

from dataclasses import dataclass

from roundsmith.types import Split
from roundsmith.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class EvalRecord:
    """One sample of an evaluation, resolved: `solved` counts for pass@k, `verdicts` are in the
    tests' order.
    """

    task_id: str
    split: Split
    sample_id: str
    index: int
    solved: bool
    verdicts: tuple[Verdict, ...]
    text: str
    prompt_tokens: int
    tokens: int
    """Sampled tokens of the completion."""
