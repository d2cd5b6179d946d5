"""The claims of disjointness, on tuple and on behaviour, and what a task is made of."""

import time
from itertools import combinations, islice

import pytest

from roundsmith.lab.atoms import ATOM_BY_NAME
from roundsmith.lab.compose import Composition, outputs, shared_inputs
from roundsmith.lab.splits import Pool, _all_tasks, deep, pool_of, shallow, tasks
from roundsmith.types import CallTest, Split, Task
from roundsmith.wire.python_value import value_from_message, value_to_message

SIZES = {Split.TRAIN: 800, Split.GATE: 300, Split.FINAL: 500}


def _behaviour(task: Task) -> tuple[str, ...]:
    """What a task's reference text, not its atoms, returns on the 64 shared inputs."""
    scope: dict[str, object] = {}
    exec(task.reference or "", scope)
    solve = scope["solve"]
    assert callable(solve)
    source = Composition((ATOM_BY_NAME[task.meta["atoms"].split("+")[0]],)).source
    return (source, *(repr(solve(value)) for value in shared_inputs(source)))


@pytest.mark.parametrize("split", Split)
def test_a_split_is_large_enough(split: Split) -> None:
    assert len(tasks(split)) >= SIZES[split]
    assert {task.meta["depth"] for task in tasks(split)} == {"2", "3"}
    assert all(task.split is split for task in tasks(split))


def test_splits_are_disjoint_on_the_atom_tuple() -> None:
    names = {split: {task.meta["atoms"] for task in tasks(split)} for split in Split}
    assert all(names[a].isdisjoint(names[b]) for a, b in combinations(Split, 2))


def test_no_two_tasks_behave_the_same_in_or_across_splits() -> None:
    behaviours = [_behaviour(task) for split in Split for task in tasks(split)]
    assert len(set(behaviours)) == len(behaviours)


def test_no_task_behaves_like_an_atom() -> None:
    atoms = {
        (atom.source, *map(repr, values))
        for atom in ATOM_BY_NAME.values()
        if (values := outputs(Composition((atom,))))
    }
    assert atoms.isdisjoint(_behaviour(task) for split in Split for task in tasks(split))


def test_the_pool_of_a_task_is_its_split_and_never_the_base() -> None:
    for split in Split:
        for task in tasks(split, 60):
            atoms = tuple(ATOM_BY_NAME[name] for name in task.meta["atoms"].split("+"))
            assert pool_of(Composition(atoms)) is Pool(split.value)


def test_compositions_that_behave_the_same_share_a_pool() -> None:
    pool_by_behaviour: dict[str, Pool] = {}
    for placed in (*shallow(), *islice(deep(7), 1500)):
        assert pool_by_behaviour.setdefault(placed.behaviour, placed.pool) is placed.pool


def test_a_limit_keeps_the_first_tasks_and_both_depths() -> None:
    assert tasks(Split.GATE, 8) == tasks(Split.GATE)[:8]
    assert {task.meta["depth"] for task in tasks(Split.GATE, 8)} == {"2", "3"}


def test_references_pass_their_own_tests_by_type_and_value() -> None:
    for split in Split:
        for task in tasks(split):
            scope: dict[str, object] = {}
            exec(task.reference or "", scope)
            solve = scope["solve"]
            assert callable(solve)
            for test in task.tests:
                assert isinstance(test, CallTest)
                assert repr(solve(*test.args)) == repr(test.expected)


def test_tests_can_tell_programs_apart() -> None:
    for split in Split:
        for task in tasks(split):
            calls = [test for test in task.tests if isinstance(test, CallTest)]
            assert len(calls) == 8
            assert len({repr(test.args) for test in calls}) == 8
            assert len({repr(test.expected) for test in calls}) > 1


def test_tasks_are_all_made_in_a_few_seconds_of_cpu() -> None:
    def taken() -> float:
        for made in (_all_tasks, shallow, shared_inputs):
            made.cache_clear()
        started = time.thread_time()
        assert tasks(Split.FINAL)
        return time.thread_time() - started

    assert any(taken() < 5.0 for _ in range(3)), "a busy machine may be slow once or twice"


def test_tests_survive_the_wire() -> None:
    for task in tasks(Split.TRAIN, 50):
        for test in task.tests:
            assert isinstance(test, CallTest)
            assert repr(value_from_message(value_to_message(test.expected))) == repr(test.expected)
