"""Regeneration: the best of the codes for an instruction, by the judge's question on each."""

from dataclasses import replace
from random import Random

from roundsmith.recipes.inverse_instruct import InverseInstructConfig
from roundsmith.recipes.regenerate import Regenerate
from roundsmith.types import Score
from tests.pipelines.recipes.groups import code, group


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
