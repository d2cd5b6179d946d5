"""Hand-made groups: what a recipe is given to choose from."""

from roundsmith.recipes.styles import CompletionStyle
from roundsmith.types import (
    CallTest,
    Group,
    JudgedAt,
    Kind,
    Outcome,
    Provenance,
    Sample,
    Score,
    Split,
    Task,
)
from roundsmith.verdicts import Verdict

TASK = Task(
    task_id="double",
    split=Split.TRAIN,
    description="Double the number.",
    head="def solve(x: int) -> int:",
    entry_point="solve",
    tests=(CallTest("a", "solve", (1,), 2), CallTest("b", "solve", (2,), 4)),
    reference="def solve(x: int) -> int:\n    return 2 * x\n",
)
STYLE = CompletionStyle()


def code(name: str, step: int, body: str = "    return x + x") -> Sample:
    """A program whose id is `name`, drawn at a step of the chain from a description of its own."""
    description = f"wording {step}"
    return Sample(
        sample_id=name,
        kind=Kind.CODE,
        step=step,
        index=0,
        prompt=STYLE.code(TASK, description),
        completion=body,
        text=STYLE.program(TASK, description, body),
        logprob_sum=-1.0,
        prompt_tokens=9,
        token_count=4,
        finish_reason="stop",
        provenance=Provenance("double", "gift", 1, "w" * 64, 7),
    )


def outcome(sample: Sample, test_id: str, verdict: Verdict, near_limit: bool = False) -> Outcome:
    """What a program did on one test."""
    return Outcome(sample.sample_id, test_id, verdict, JudgedAt.OUTSIDE, "T1", "py", near_limit)


def passes(*samples: Sample) -> tuple[Outcome, ...]:
    """PASS on both tests for each."""
    return tuple(outcome(s, t, Verdict.PASS) for s in samples for t in "ab")


def group(samples: tuple[Sample, ...], outcomes: tuple[Outcome, ...], **ppl: float) -> Group:
    """A group with perplexities by sample id: a score of one token each."""
    import math

    scores = {name: Score(-math.log(value), 1, "w" * 64) for name, value in ppl.items()}
    return Group(TASK, samples, outcomes, scores)
