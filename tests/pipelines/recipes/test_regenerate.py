"""Regeneration: the best of the codes for an instruction, by the judge's question on each."""

import asyncio
from dataclasses import dataclass, field, replace
from random import Random
from typing import cast

import pytest

from roundsmith.clients import Services
from roundsmith.recipes.inverse_instruct import InverseInstructConfig
from roundsmith.recipes.regenerate import Regenerate
from roundsmith.recipes.session import Session
from roundsmith.recipes.styles import ChatStyle, CompletionStyle, Style
from roundsmith.types import Completion, Example, GenerateItem, Limits, Score, Task
from tests.pipelines.recipes.groups import TASK, code, group

ANSWER = "Sure:\n```python\nimport re\n\ndef f(x):\n    return x\n```\nThat is all.\n"


@dataclass
class Generator:
    """Answers every prompt alike, as far as its first stop."""

    asked: list[GenerateItem] = field(default_factory=list)

    async def generate(self, item: GenerateItem, expected: str) -> list[Completion]:
        self.asked.append(item)
        ends = [ANSWER.find(stop) for stop in item.sampling.stop if stop in ANSWER]
        text = ANSWER[: min(ends, default=len(ANSWER))]
        return [Completion(i, text, (1,), (-0.5,), "stop", 3, expected) for i in range(item.n)]


@dataclass
class Parts:
    """Services of which only the generator is asked."""

    generator: Generator


def drawn(task: Task, style: Style) -> list[Example]:
    """The rows of what it drew, every code equally likely to be right."""
    services = cast(Services, Parts(Generator()))
    session = Session(services, style, "regenerate", 1, 7, "w" * 64, (), Limits())
    recipe = Regenerate(InverseInstructConfig(candidates=2))
    told = asyncio.run(recipe.sample(task, session))
    scores = {sample.sample_id: Score(0.0, 0, "w" * 64, 0.5) for sample in told.samples}
    rows = recipe.select(replace(told, scores=scores), Random(0))
    return [row for row in rows if isinstance(row, Example)]


@pytest.mark.parametrize("style", [CompletionStyle(), ChatStyle()])
def test_an_answer_to_an_instruction_without_a_head_is_whole(style: Style) -> None:
    task = replace(TASK, head="", entry_point="", tests=(), reference="x")
    rows = drawn(task, style)
    assert [row.completion for row in rows[1:]] == [ANSWER.rstrip()]


def test_an_answer_below_a_head_ends_at_the_stops_of_its_style() -> None:
    rows = drawn(TASK, CompletionStyle())
    assert rows[1].completion == ANSWER.partition("\ndef")[0].rstrip()


def test_the_code_of_highest_p_yes_answers_the_corpus_own_instruction() -> None:
    codes = tuple(code(f"{i}", 0, f"    return {i} * x") for i in range(3))
    likely = (0.2, 0.9, 0.4)
    scores = {f"{i}": Score(0.0, 0, "w" * 64, p) for i, p in enumerate(likely)}
    told = replace(group(codes, ()), scores=scores)
    recipe = Regenerate(InverseInstructConfig())
    rows = recipe.select(told, Random(0))
    assert [row.provenance.parents for row in rows] == [(), ("1",)]
    assert rows[0].prompt == rows[1].prompt
    questions = {str(recipe.question(c, told).prompt) for c in codes}
    assert len(questions) == 3
    assert all(told.task.description in question for question in questions)
