"""Groups as a round of GiFT makes them, from a seed, for benches that need many and no model."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from roundsmith.hashing import content_hash
from roundsmith.lab import tasks
from roundsmith.recipes.styles import CompletionStyle
from roundsmith.types import (
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

STEPS = 20
CODES = 3
"""A group has 60 codes: the paper's 20 iterations of 3."""
WEIGHTS = "0" * 64


def groups(num_groups: int) -> list[Group]:
    """Groups of the lab's training tasks, half of whose codes pass, scored."""
    random = Random(0)
    return [group(task, random) for task in tasks(Split.TRAIN, num_groups)]


def many_tasks(number: int) -> Iterator[Task]:
    """The lab's training tasks over and over, each time under other names and descriptions."""
    lab = tasks(Split.TRAIN)
    for at in range(number):
        task, again = lab[at % len(lab)], at // len(lab)
        described = f"{task.description}, time {again}"
        yield replace(task, task_id=f"{task.task_id}/{again}", description=described)


def group(task: Task, random: Random) -> Group:
    """A scored group of a task: each code passes or fails by chance."""
    codes = [_code(task, step, index) for step in range(STEPS) for index in range(CODES)]
    outcomes = []
    for code in codes:
        verdict = random.choice((Verdict.PASS, Verdict.FAIL))
        outcomes += [
            Outcome(code.sample_id, test.test_id, verdict, JudgedAt.OUTSIDE, "T2", "python")
            for test in task.tests
        ]
    scores = {code.sample_id: Score(random.uniform(-40, -5), 30, WEIGHTS) for code in codes}
    return Group(task, tuple(codes), tuple(outcomes), scores)


def _code(task: Task, step: int, index: int) -> Sample:
    style = CompletionStyle()
    body = f"    # {step}.{index}\n    return None\n"
    return Sample(
        sample_id=content_hash(task.task_id, step, index),
        kind=Kind.CODE,
        step=step,
        index=index,
        prompt=style.code(task, task.description),
        completion=body,
        text=style.program(task, task.description, body),
        logprob_sum=-12.5,
        prompt_tokens=40,
        token_count=30,
        finish_reason="stop",
        provenance=Provenance(task.task_id, "gift", 1, WEIGHTS, step),
    )
