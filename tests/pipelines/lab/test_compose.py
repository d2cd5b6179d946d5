"""Compositions: what is written, what it does, what is refused."""

from random import Random

import pytest

from roundsmith.lab.atoms import ATOM_BY_NAME
from roundsmith.lab.compose import (
    Composition,
    body,
    chains,
    describe,
    outputs,
    program,
    shared_inputs,
)


def _composition(*names: str) -> Composition:
    return Composition(tuple(ATOM_BY_NAME[name] for name in names))


def test_program_is_one_line_a_step_and_a_return() -> None:
    assert program(_composition("sort_up", "drop_first", "sum_list")) == (
        "def solve(x: list[int]) -> int:\n"
        "    x = sorted(x)\n"
        "    x = x[1:]\n"
        "    x = sum(x)\n"
        "    return x\n"
    )


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_programs_in_every_form_return_what_the_chain_returns(depth: int) -> None:
    rng = Random(depth)
    for composition in rng.sample(chains(depth), 60):
        if outputs(composition) is None:
            continue
        scope: dict[str, object] = {}
        exec(f"{composition.head}\n{body(composition, rng)}\n", scope)
        solve = scope["solve"]
        assert callable(solve)
        for value in shared_inputs(composition.source)[:16]:
            assert repr(solve(value)) == repr(composition.run(value))


def test_description_names_every_step() -> None:
    composition = _composition("keep_even", "double_each", "largest")
    for seed in range(50):
        text = describe(composition, Random(seed))
        assert all(any(p in text for p in atom.phrases) for atom in composition.atoms)


def test_descriptions_vary() -> None:
    composition = _composition("keep_even", "sum_list")
    assert len({describe(composition, Random(seed)) for seed in range(60)}) > 20


def test_chains_are_type_compatible_and_never_repeat_an_atom() -> None:
    for composition in chains(2):
        first, second = composition.atoms
        assert first.target is second.source
        assert first is not second


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("square", "fibonacci"), "it leaves the small domain"),
        (("keep_odd", "first_even"), "it is constant"),
    ],
)
def test_invalid_compositions_are_refused(names: tuple[str, ...], why: str) -> None:
    assert outputs(_composition(*names)) is None, why


def test_valid_outputs_are_those_of_the_program() -> None:
    composition = _composition("letter_places", "largest")
    seen = outputs(composition)
    assert seen is not None
    assert seen == tuple(composition.run(x) for x in shared_inputs(composition.source))
