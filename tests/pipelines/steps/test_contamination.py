"""Rows that give a held-out task away are found, and those of disjoint tasks are not."""

import sys
from dataclasses import replace

import pytest

from roundsmith.benchmarks.load import load_tasks
from roundsmith.recipes.contract import gold_example
from roundsmith.recipes.styles import ChatStyle, CompletionStyle, Style
from roundsmith.steps.contamination import HeldOut, gives_away, repeated, structure, words
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
@pytest.mark.parametrize("head", [TASK.head, ""])
def test_a_self_made_description_that_is_a_held_out_one_by_words_is_found(
    style: Style, head: str
) -> None:
    task = replace(TASK, head=head)
    for said, repeats in (("add the number to itself", True), ("Add the number to it.", False)):
        made = gold_example(task, style.code(task, said), "    return 2 * x", "inverse_instruct")
        assert bool(found(made, task=task)) is repeats, said


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
    assert structure(recursive, None) == structure(recursive.replace("f(", "g("), None)
    assert structure(recursive, None) != structure(recursive.replace("f(n - ", "abs(n - "), None)


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


SUM_ODD = """def sum_odd(values):
    total = 0
    for value in values:
        if value % 2:
            total += value
    return total
"""
HELPED = f"import math\n\n{SUM_ODD}\ndef root(values):\n    return math.sqrt(sum_odd(values))\n"
HELD_SUMS = HeldOut.of(
    [
        replace(OTHER, head="def sum_odd(values):", entry_point="sum_odd", reference=SUM_ODD),
        replace(OTHER, description="Its root.", entry_point="root", reference=HELPED),
    ]
)
COMMENTED = "".join(f"{line}  # step {at}\n" for at, line in enumerate(SUM_ODD.splitlines()))
INDENTED = "\n".join(f"   {line}" for line in ["```python", *SUM_ODD.splitlines(), "```"])
HELPER, MAIN = HELPED.split("\ndef root")
QUOTED = SUM_ODD.replace(":\n", ':\n    """Sums.\n    ```\n    sum_odd([1])\n    ```\n    """\n', 1)
GIVING = {
    "in a fence": f"```python\n{COMMENTED}```",
    "bare": COMMENTED,
    "under another name": f"```python\n{SUM_ODD.replace('sum_odd', 'odds')}```",
    "with text around": f"Of course:\n\n```python\n{COMMENTED}```\n\nIt sums.",
    "behind text": f"Of course: ```py\n{COMMENTED}```",
    "not closed": f"```\n{COMMENTED}",
    "closed alone": f"{COMMENTED}```",
    "in other fences": f"~~~python\n{COMMENTED}~~~\nor\n````\n1\n````",
    "in a list": f"1. So:\n{INDENTED}\n2. Done.",
    "in the second block": f"```sh\npip install it\n```\nThen:\n```python\n{COMMENTED}```\nEnd.",
    "with an example": f"```python\n{COMMENTED}\nodd = [1]\nprint(sum_odd(odd))\n```",
    "in two blocks": f"A helper:\n```python\n{HELPER}```\nand:\n```python\ndef root{MAIN}```",
    "by a helper's other name": f"```python\n{HELPED.replace('sum_odd', 'odds')}```",
    "with fences in it": f"So:\n```python\n{QUOTED}```\nIt sums.",
}
OWN = {
    "text": "It sums the odd values; def sum_odd(values) is a name.",
    "another program": f"```python\n{SUM_ODD.replace('% 2', '% 3')}```",
    "a part": f"```python\ndef root{MAIN}```",
    "a call of another": f"```python\n{HELPED.replace('sqrt(sum_odd', 'sqrt(sum')}```",
    "nothing": "``````",
}


def corpus_task(answer: str) -> Task:
    return replace(TASK, head="", entry_point="", tests=(), reference=answer)


@pytest.mark.parametrize("style", [CompletionStyle(), ChatStyle()])
@pytest.mark.parametrize(("kind", "answer"), [*GIVING.items(), *OWN.items()])
def test_a_held_out_program_is_found_in_a_corpus_answer_however_it_is_given(
    style: Style, kind: str, answer: str
) -> None:
    task = corpus_task(answer)
    assert gives_away(task, HELD_SUMS) == (kind in GIVING)
    of_row = repeated([row(style.gold(task), task, style)], {task.task_id: task}, HELD_SUMS)
    assert of_row == (("double",) if kind in GIVING else ())


def test_an_answer_to_a_code_head_that_is_a_block_of_its_own_is_found() -> None:
    fenced = f"So:\n```python\n{SUM_ODD}```"
    assert repeated([row(fenced)], {TASK.task_id: TASK}, HELD_SUMS) == ("double",)


def test_a_reference_to_a_code_head_is_compared_whole() -> None:
    task = replace(TASK, reference=f"{TASK.head}\n    return x + x\nEMPTY = 0\n")
    assert not gives_away(task, HELD_OUT)
    assert gives_away(replace(task, head=""), HELD_OUT)


def test_a_program_too_deep_for_a_tree_is_compared_by_its_words() -> None:
    program = f"x = {' + '.join(['1'] * 3000)}\n"
    assert structure(program, None) == structure(f"\n{program}", "f") == words(program)
    assert gives_away(
        corpus_task(f"```\n{program}```"), HeldOut.of([replace(OTHER, reference=program)])
    )


def test_programs_of_many_functions_take_time_in_proportion_to_them() -> None:
    """A row that is looked at with each function's name in turn would take this to the square."""

    def steps(number: int) -> int:
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        program = "\n".join(f"def f{at}(x):\n    return f{at}(x)\n" for at in range(number))
        sys.setprofile(count)
        try:
            gives_away(corpus_task(f"```python\n{program}```"), HELD_SUMS)
        finally:
            sys.setprofile(None)
        return calls

    assert steps(400) < 5 * steps(100)
