"""The hash of the lab's tasks: whatever a round could see of a task is in it."""

from dataclasses import replace

from roundsmith.benchmarks.load import tasks_hash
from roundsmith.lab.splits import tasks
from roundsmith.types import CallTest, Split, Task

TASK = tasks(Split.GATE)[0]


def other(task: Task) -> Task:
    """The task with another expected value in its last test."""
    *rest, last = task.tests
    assert isinstance(last, CallTest)
    return replace(task, tests=(*rest, replace(last, expected=[last.expected])))


def test_every_part_of_a_task_counts() -> None:
    changed = [
        other(TASK),
        replace(TASK, tests=TASK.tests[1:]),
        replace(TASK, example=">>> 1"),
        replace(TASK, setup="import math"),
        replace(TASK, entry_point="other"),
        replace(TASK, reference=None),
    ]
    assert len({tasks_hash([task]) for task in [TASK, *changed]}) == 1 + len(changed)
    assert tasks_hash([TASK]) == tasks_hash([replace(TASK)])
