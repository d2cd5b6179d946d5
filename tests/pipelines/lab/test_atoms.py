"""The hundred atoms keep the promises that compositions rest on."""

import re
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from roundsmith.lab.atom import Atom
from roundsmith.lab.atoms import ATOM_BY_NAME, ATOMS
from roundsmith.lab.compose import Composition, outputs, shared_inputs
from roundsmith.lab.kinds import SOURCES, Kind, sample, sample_easy

_TYPES: dict[Kind, Callable[[Any], bool]] = {
    Kind.INT: lambda v: type(v) is int,
    Kind.BOOL: lambda v: type(v) is bool,
    Kind.STR: lambda v: type(v) is str,
    Kind.INTS: lambda v: type(v) is list and all(type(i) is int for i in v),
    Kind.WORDS: lambda v: type(v) is list and all(type(w) is str for w in v),
    Kind.ROWS: lambda v: type(v) is list and all(_TYPES[Kind.INTS](row) for row in v),
    Kind.COUNTS: lambda v: (
        type(v) is dict and all(type(k) is str and type(n) is int for k, n in v.items())
    ),
}


def test_there_are_ten_topics_of_ten_atoms() -> None:
    assert len(ATOM_BY_NAME) == len(ATOMS) == 100
    assert set(Counter(atom.topic for atom in ATOMS).values()) == {10}
    assert len({atom.topic for atom in ATOMS}) == 10


def test_every_phrase_means_one_atom() -> None:
    counts = Counter(phrase for atom in ATOMS for phrase in atom.phrases)
    assert [phrase for phrase, count in counts.items() if count > 1] == []
    assert all(len(atom.phrases) >= 3 for atom in ATOMS)


def test_phrases_can_be_joined() -> None:
    odd = [p for atom in ATOMS for p in atom.phrases if not re.fullmatch(r"[a-z][a-z, -]+[a-z]", p)]
    assert odd == []


@pytest.mark.parametrize("atom", ATOMS, ids=lambda atom: atom.name)
def test_forms_of_an_atom_agree_and_keep_its_types(atom: Atom) -> None:
    for value in shared_inputs(atom.source):
        before = repr(value)
        results = {repr(atom.run(value, form)) for form in range(len(atom.forms))}
        assert len(results) == 1
        assert _TYPES[atom.target](atom.run(value))
        assert repr(value) == before, "an atom may not change its input"


def test_every_atom_is_a_valid_program() -> None:
    assert [atom.name for atom in ATOMS if outputs(Composition((atom,))) is None] == []


@pytest.mark.parametrize("kind", SOURCES)
def test_samplers_draw_values_of_their_type(kind: Kind) -> None:
    rng = Random(1)
    drawn = [draw(kind, rng) for draw in (sample, sample_easy) for _ in range(200)]
    assert all(_TYPES[kind](value) for value in drawn)


def test_signature_names_the_types() -> None:
    assert ATOM_BY_NAME["sum_list"].signature == "sum_list(x: list[int]) -> int"
