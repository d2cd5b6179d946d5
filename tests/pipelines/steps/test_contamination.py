"""Rows that give a held-out task away are found, and those of disjoint tasks are not."""

from dataclasses import replace

import pytest

from roundsmith.benchmarks.load import load_tasks
from roundsmith.recipes.contract import gold_example
from roundsmith.recipes.styles import ChatStyle, CompletionStyle, Style
from roundsmith.steps.contamination import HeldOut, repeated, structure, words
from roundsmith.types import Example, Pair, Split, Task
from tests.pipelines.recipes.groups import TASK

OTHER = replace(
    TASK,
    task_id="other",
    split=Split.FINAL,
    description="Add the number to itself.",
    head="def twice(x: int) -> int:",
    entry_point="twice",
    reference='def twice(x: int) -> int:\n    """Twice."""\n    return x + x  # once more\n',
)
HELD_OUT = HeldOut.of([OTHER])


def row(completion: str, task: Task = TASK, style: Style | None = None) -> Example:
    """A training row of a task."""
    prompt = (style or CompletionStyle()).code(task, task.description)
    return gold_example(task, prompt, completion, "gift")


def found(*rows: Example | Pair, task: Task = TASK) -> tuple[str, ...]:
    return repeated(rows, {task.task_id: task}, HELD_OUT)


def test_a_row_of_its_own_is_no_repetition() -> None:
    assert found(row("    return 2 * x"), row("not python (")) == ()


@pytest.mark.parametrize(
    "answer", ["    return x + x", "    return (x  +  x)  # sum", "    return x+x\n"]
)
def test_the_program_of_a_held_out_task_is_found_under_another_name(answer: str) -> None:
    assert found(row(answer)) == ("double",)


def test_a_chat_answer_is_read_without_its_fence() -> None:
    assert found(row("\n    return x + x\n```", style=ChatStyle())) == ("double",)


def test_the_description_of_a_held_out_task_is_found_in_other_letters() -> None:
    task = replace(TASK, description="  add the number, to itself!")
    assert found(row("    return 2 * x", task), task=task) == ("double",)


@pytest.mark.parametrize("style", [CompletionStyle(), ChatStyle()])
def test_the_prompt_of_a_held_out_task_is_found_whatever_the_row_was_made_from(
    style: Style,
) -> None:
    assert found(row("    pass", OTHER, style)) == ("other",)


def test_a_pair_is_judged_by_what_it_prefers() -> None:
    made = row("    return 2 * x")
    good, bad = "    return 2 * x", "    return x + x"
    pair = Pair("p", made.prompt, good, bad, made.provenance)
    assert found(pair) == ()
    assert found(replace(pair, chosen=bad, rejected=good)) == ("double",)


def test_what_is_compared_is_words_and_structure() -> None:
    assert words("Return the SUM,\n of 2 lists.") == "return the sum of 2 lists"
    recursive = "def f(n):\n    return n and f(n - 1)"
    assert structure(recursive, "f") == structure(recursive.replace("f(", "g("), "g")
    assert structure(recursive, "f") != structure(recursive.replace("- 1", "- 2"), "f")


def test_no_reference_of_the_lab_gives_a_held_out_task_away() -> None:
    loaded = load_tasks("lab")
    train = loaded.of(Split.TRAIN)
    held_out = HeldOut.of([*loaded.of(Split.GATE), *loaded.of(Split.FINAL)])
    style = CompletionStyle()
    rows = [
        gold_example(task, style.code(task, task.description), style.gold(task), "gift")
        for task in train
    ]
    assert len(rows) > 500
    assert repeated(rows, {task.task_id: task for task in train}, held_out) == ()


def test_a_program_joined_with_a_test_is_the_program() -> None:
    program = "def f(x):\n    return x\n"
    assert structure(f"{program}\nassert f(1) == 1\n", "f") == structure(program, "f")
    inner = "def f(x):\n    assert x\n    return x\n"
    assert structure(inner, "f") != structure(program, "f")
