"""Which composition belongs to which pool, and the tasks of the three splits.

The pool is a function of behaviour alone: compositions that return the same on the 64 shared
inputs are in one pool, so no split and no base training can hold a task of another, nor a program
that acts like one. Atoms (depth 1) are all in the base's pool, and what acts like a shorter
composition is in none: held-out tasks have depth 2 and 3.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import zip_longest
from random import Random

from roundsmith.hashing import content_hash, derive_seed
from roundsmith.lab.compose import (
    ENTRY_POINT,
    Composition,
    chains,
    describe,
    extend,
    outputs,
    program,
)
from roundsmith.lab.kinds import sample
from roundsmith.types import CallTest, Split, Task, Value

TASK_COUNTS = {Split.TRAIN: 1000, Split.GATE: 320, Split.FINAL: 600}
DEEP_SHARE = 0.6
"""The share of a split's tasks that have depth 3; the others have depth 2."""
TESTS_PER_TASK = 8
_TEST_DRAWS = 24
_SEED = 20240614


class Pool(StrEnum):
    """Who may use a composition: the base training, or one split."""

    BASE = "base"
    TRAIN = "train"
    GATE = "gate"
    FINAL = "final"


_SPLIT_BY_POOL = {Pool(split.value): split for split in Split}
_SHARES = ((Pool.BASE, 0.45), (Pool.TRAIN, 0.27), (Pool.GATE, 0.11), (Pool.FINAL, 0.17))


@dataclass(frozen=True, slots=True)
class Placed:
    """A valid composition, its pool, and its behaviour: a hash of what it returns on the shared
    inputs.
    """

    composition: Composition
    pool: Pool
    behaviour: str


def tasks(split: Split, limit: int | None = None) -> list[Task]:
    """The first `limit` tasks of a split, always the same and in one order, in which depths
    alternate.
    """
    return list(_all_tasks()[split][:limit])


@cache
def shallow() -> tuple[Placed, ...]:
    """Every valid composition of depth 1 and 2, each with its pool."""
    placed: list[Placed] = []
    for depth in (1, 2):
        known = {p.behaviour for p in placed}
        placed += [p for c in chains(depth) if (p := _place(c, outputs(c), known))]
    return tuple(placed)


def deep(seed: int) -> Iterator[Placed]:
    """Valid compositions of depth 3 that act like no shorter one, in an order drawn from `seed`."""
    known = _behaviours(2)
    values_by_prefix = {p.composition.atoms: outputs(p.composition) for p in shallow()}
    order = chains(3)
    Random(derive_seed(_SEED, "deep", seed)).shuffle(order)
    for composition in order:
        values = values_by_prefix.get(composition.atoms[:2])
        if values is None:
            continue
        placed = _place(composition, extend(values, composition.atoms[2:]), known)
        if placed:
            yield placed


def pool_of(composition: Composition) -> Pool | None:
    """The pool of any composition; None where it is not valid or acts like a shorter one."""
    placed = _place(composition, outputs(composition), _behaviours(len(composition.atoms) - 1))
    return placed.pool if placed else None


def _place(
    composition: Composition, values: tuple[Value, ...] | None, known: Set[str]
) -> Placed | None:
    """Find the pool. None for what is not valid, and for what acts like a shorter composition."""
    if values is None:
        return None
    behaviour = content_hash(str(composition.source), [repr(value) for value in values])
    if behaviour in known:
        return None
    if len(composition.atoms) == 1:
        return Placed(composition, Pool.BASE, behaviour)
    return Placed(composition, _pool_at(behaviour), behaviour)


def _pool_at(behaviour: str) -> Pool:
    """The pool of a behaviour: a fixed share of the hash space each."""
    point = int(behaviour[:12], 16) / 16**12
    for pool, share in _SHARES:
        point -= share
        if point < 0:
            return pool
    return _SHARES[-1][0]


@cache
def _behaviours(depth: int) -> frozenset[str]:
    """What the valid compositions of up to `depth` (at most 2) do."""
    return frozenset(p.behaviour for p in shallow() if len(p.composition.atoms) <= depth)


@cache
def _all_tasks() -> dict[Split, tuple[Task, ...]]:
    pairs = [placed for placed in shallow() if len(placed.composition.atoms) == 2]
    Random(derive_seed(_SEED, "pairs")).shuffle(pairs)
    deep_counts = {split: round(count * DEEP_SHARE) for split, count in TASK_COUNTS.items()}
    pair_counts = {split: TASK_COUNTS[split] - deep_counts[split] for split in Split}
    twos, threes = _pick(iter(pairs), pair_counts), _pick(deep(0), deep_counts)
    return {split: tuple(_alternate(twos[split], threes[split])) for split in Split}


def _pick(placed: Iterator[Placed], counts: dict[Split, int]) -> dict[Split, list[Task]]:
    """Fill each split with the first compositions of its pool, one a behaviour."""
    picked: dict[Split, list[Task]] = {split: [] for split in counts}
    seen: set[str] = set()
    missing = sum(counts.values())
    while missing:
        candidate = next(placed)
        split = _SPLIT_BY_POOL.get(candidate.pool)
        if split is None or candidate.behaviour in seen or len(picked[split]) == counts[split]:
            continue
        seen.add(candidate.behaviour)
        picked[split].append(task_of(candidate.composition, split))
        missing -= 1
    return picked


def _alternate(twos: list[Task], threes: list[Task]) -> Iterator[Task]:
    for pair in zip_longest(twos, threes):
        yield from (task for task in pair if task)


def task_of(composition: Composition, split: Split) -> Task:
    """The task that asks for a composition, with tests whose outputs are its own."""
    rng = Random(derive_seed(_SEED, "task", composition.name))
    return Task(
        task_id=f"lab/{composition.name}",
        split=split,
        description=describe(composition, rng),
        head=composition.head,
        entry_point=ENTRY_POINT,
        tests=tuple(
            CallTest(f"t{index}", ENTRY_POINT, (value,), composition.run(value))
            for index, value in enumerate(_test_inputs(composition, rng))
        ),
        reference=program(composition),
        source="roundsmith-lab",
        licence="Apache-2.0",
        meta={"depth": str(len(composition.atoms)), "atoms": composition.name},
    )


def _test_inputs(composition: Composition, rng: Random) -> list[Value]:
    """Draw inputs without repetition; those whose output was not seen before come first."""
    inputs = {
        repr(value): value
        for value in (sample(composition.source, rng) for _ in range(_TEST_DRAWS))
    }
    news: dict[str, Value] = {}
    for value in inputs.values():
        news.setdefault(repr(composition.run(value)), value)
    first = list(news.values())
    rest = [value for value in inputs.values() if not any(value is new for new in first)]
    return [*first, *rest][:TESTS_PER_TASK]
