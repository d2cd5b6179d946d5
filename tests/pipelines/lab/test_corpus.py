"""What the base is trained on: the prompts of recipes, true statements, and nothing that is held
out.
"""

from collections import Counter
from functools import cache
from itertools import islice

import pytest

from roundsmith.lab.atoms import ATOM_BY_NAME
from roundsmith.lab.card import read_test
from roundsmith.lab.compose import Composition, outputs
from roundsmith.lab.corpus import Corpus, CorpusRow, Mixture, Skill
from roundsmith.lab.mutants import wrong_neighbour
from roundsmith.lab.splits import Pool, pool_of, tasks
from roundsmith.recipes.prompts import (
    DESCRIPTION_HEADER,
    TEST_HEADER,
    code_prompt,
    description_prompt,
    judge_prompt,
)
from roundsmith.recipes.prompts import (
    test_prompt as make_test_prompt,
)
from roundsmith.types import Split, Task

CODE, DESCRIPTION, TEST, JUDGE = Skill


@cache
def _rows() -> tuple[CorpusRow, ...]:
    """1500 rows of single steps and pairs, then 1500 of the whole mixture."""
    return tuple(islice(Corpus(3, Mixture(first_rows=1500)).rows(), 3000))


def _of(skill: Skill, count: int = 200) -> list[CorpusRow]:
    return [row for row in _rows() if row.skill is skill][:count]


def _composition(name: str) -> Composition:
    return Composition(tuple(ATOM_BY_NAME[atom] for atom in name.split("+")))


def _task(row: CorpusRow) -> Task:
    return Task("", Split.TRAIN, "", _composition(row.compositions[0]).head, "solve", ())


def _asked(row: CorpusRow) -> str:
    return row.text.split('""" ')[1].split(' """')[0]


def _run(source: str, value: object) -> object:
    scope: dict[str, object] = {}
    exec(source, scope)
    solve = scope["solve"]
    assert callable(solve)
    return solve(value)


def test_the_stream_is_a_function_of_the_seed() -> None:
    first, again, other = (tuple(islice(Corpus(seed).rows(), 300)) for seed in (3, 3, 4))
    assert first == again != other


def test_single_steps_come_first() -> None:
    depths = [row.compositions[0].count("+") + 1 for row in _rows()]
    assert set(depths[:1500]) == {1, 2}
    assert set(depths[1500:]) == {1, 2, 3}


def test_every_skill_is_taught() -> None:
    assert min(Counter(row.skill for row in _rows()).values()) > 300


def test_rows_begin_with_the_prompts_of_recipes() -> None:
    for row in _of(CODE):
        assert row.parts[0].text == code_prompt(_task(row), _asked(row))
    for row in _of(TEST):
        assert row.parts[0].text == make_test_prompt(_task(row), _asked(row))
    for row in _of(DESCRIPTION):
        *prompt, _ = row.parts
        demo, query = (text.split("\n###")[0] for text in row.text.split("### Code\n")[1:])
        shown = prompt[1].text
        assert "".join(part.text for part in prompt) == description_prompt(query, demo, shown)
        assert prompt[0].text.endswith(DESCRIPTION_HEADER + "\n")
    for row in _of(JUDGE):
        asked = "".join(part.text for part in row.parts[:-1])
        assert asked == judge_prompt(asked.split("### Code\n")[1].split("\n### Is")[0])


def test_codes_do_what_their_composition_does() -> None:
    for row in _of(CODE):
        composition = _composition(row.compositions[0])
        source = row.text + "\n"
        for value in islice(_inputs(composition), 8):
            assert repr(_run(source, value)) == repr(composition.run(value))


def test_slips_are_programs_a_step_away_and_as_many_as_asked() -> None:
    mixture = Mixture(code=1, description=0, test=0, judge=0, first_rows=0, slips=0.3)
    rows = list(islice(Corpus(4, mixture).rows(), 600))
    slipped = [row for row in rows if len(row.compositions) > 1]
    assert 0.2 < len(slipped) / len(rows) < 0.4
    for row in slipped:
        asked, shown = map(_composition, row.compositions)
        assert outputs(asked) != outputs(shown)
        for value in islice(_inputs(shown), 8):
            assert repr(_run(row.text + "\n", value)) == repr(shown.run(value))


def _inputs(composition: Composition) -> tuple[object, ...]:
    from roundsmith.lab.compose import shared_inputs

    return shared_inputs(composition.source)


def test_self_made_tests_of_the_corpus_hold() -> None:
    for row in _of(TEST):
        composition = _composition(row.compositions[0])
        calls = row.text.split(TEST_HEADER + "\n")[1].removeprefix("assert solve(")
        for completion in calls.split("\nassert solve("):
            made = read_test(completion, "solve")
            assert made is not None
            assert repr(composition.run(made.args[0])) == repr(made.expected)


def test_yes_and_no_are_true_and_about_even() -> None:
    rows = _of(JUDGE, 600)
    for row in rows:
        asked, shown = (outputs(_composition(name)) for name in row.compositions)
        assert (asked == shown) == (row.parts[-1].text == "Yes")
    assert 0.4 < sum(row.parts[-1].text == "Yes" for row in rows) / len(rows) < 0.6


def test_nothing_held_out_is_shown() -> None:
    held_out = {task.meta["atoms"] for split in Split for task in tasks(split)}
    shown = {name for row in _rows() for name in row.compositions}
    assert shown.isdisjoint(held_out)
    for name in sorted(shown)[::10]:
        assert pool_of(_composition(name)) is Pool.BASE


@pytest.mark.parametrize("name", ["sort_up+drop_first", "keep_even+double_each+sum_list"])
def test_a_wrong_neighbour_keeps_the_head_and_changes_the_behaviour(name: str) -> None:
    from random import Random

    composition = _composition(name)
    found = [n for seed in range(30) if (n := wrong_neighbour(composition, Random(seed)))]
    assert len({neighbour.name for neighbour in found}) > 3
    for neighbour in found:
        assert neighbour.head == composition.head
        assert outputs(neighbour) != outputs(composition)
        assert pool_of(neighbour) is Pool.BASE
