"""A held-out text is found in a row however it is laid out there."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from textwrap import indent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.benchmarks.load import load_tasks
from roundsmith.recipes.contract import gold_example
from roundsmith.recipes.styles import ChatStyle, CompletionStyle
from roundsmith.steps.banned import SHORTEST, Banned, plain
from roundsmith.steps.overlap import ContaminationConfig, Overlap
from roundsmith.types import Example, Prompt, Task
from tests.pipelines.recipes.groups import TASK

FILE = "tests/data/HumanEval.jsonl.gz"
TASKS = load_tasks(FILE).tasks
LONG = [task for task in TASKS if "\n" in task.description]
BANNED = Banned.of(TASKS)
LAYOUTS: tuple[Callable[[str], str], ...] = (
    lambda text: f'def f(x):\n    """\n{indent(text, "    ")}\n    """\n',
    lambda text: indent(f"class A:\n def f(self):\n  '''{text}'''\n", "\t"),
    lambda text: indent(text, "# ", lambda _: True),
    lambda text: f"TEXT = {text!r}\n",
    lambda text: json.dumps({"instruction": text}, ensure_ascii=False),
    lambda text: json.dumps(json.dumps(text, ensure_ascii=False), ensure_ascii=False),
)


def row(prompt: Prompt, answer: str = "    return 1") -> Example:
    return gold_example(TASK, prompt, answer, "inverse_instruct")


def test_the_benchmarks_own_prompts_are_found() -> None:
    """As published: the description in a docstring, every line of it indented."""
    overlap = Overlap(TASKS, ContaminationConfig(ngram=0, similarity=0), texts=True)
    with gzip.open(FILE, "rt") as lines:
        prompts = {fields["task_id"]: fields["prompt"] for fields in map(json.loads, lines)}
    assert len(LONG) > 100
    for task in LONG:
        assert task.description not in prompts[task.task_id]
        found = overlap.dropped(row(prompts[task.task_id]), {TASK.task_id: TASK})
        assert found is not None, task.task_id
        assert found.why == "text"


@pytest.mark.parametrize("style", [CompletionStyle(), ChatStyle()])
def test_a_description_is_found_in_a_prompt_of_either_style(
    style: CompletionStyle | ChatStyle,
) -> None:
    missed = [t for t in LONG if not BANNED.held_by(row(style.code(TASK, t.description)))]
    assert not missed


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(LONG), st.sampled_from(LAYOUTS), st.booleans(), st.data())
def test_neither_layout_nor_quotes_nor_the_place_hide_a_text(
    task: Task, layout: Callable[[str], str], asked: bool, data: st.DataObject
) -> None:
    words = task.description.split()
    spaces = st.text(" \n\t\r", min_size=1, max_size=4)
    gaps = data.draw(st.lists(spaces, min_size=len(words), max_size=len(words)))
    text = layout("".join(word + gap for word, gap in zip(words, gaps, strict=True)))
    found = row(text) if asked else row("Say it.", text)
    assert BANNED.held_by(found) == plain(task.description)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(LONG), st.data())
def test_a_text_with_another_word_is_not_found(task: Task, data: st.DataObject) -> None:
    words = plain(task.description).split()
    at = data.draw(st.integers(0, len(words) - 1))
    only = Banned.of([replace(task, reference=None)])
    assert only.held_by(row(" ".join(words))) == plain(task.description)
    assert only.held_by(row(" ".join([*words[:at], "cucumber", *words[at + 1 :]]))) is None


def test_indentation_and_quotes_make_no_short_text_a_long_one() -> None:
    reference = f'{TASK.head}\n    if x:\n{" " * 16}return ""\n{" " * 8}return x\n'
    short = replace(TASK, description="Turn\n\n\n    \"it\" ''' around '''.", reference=reference)
    banned = Banned.of([short])
    assert len(short.description) >= SHORTEST
    assert len(reference) - len(TASK.head) >= SHORTEST
    assert banned.held_by(row(short.description, reference)) is None


def test_no_program_of_mbpp_holds_a_text_of_humaneval() -> None:
    style, tasks = CompletionStyle(), load_tasks("tests/data/sanitized-mbpp.json.gz").tasks
    held = (BANNED.held_by(row(style.code(t, t.description), style.gold(t))) for t in tasks)
    assert [text for text in held if text] == []
