"""The world of atomic functions: what the second base model sees, and tasks apart from it.

Ten atoms, one a topic, are withheld: no row of that model's training shows one. The others are
Atom_base. Composites are chains of them: A is trained on, B has the same atoms in other chains of
the same depth, C is deeper or holds a withheld atom. The paper's own sets are not known to us
beyond their names (arXiv 2406.10305).
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from random import Random

from roundsmith.hashing import derive_seed
from roundsmith.lab.atom import Atom
from roundsmith.lab.atoms import ATOMS
from roundsmith.lab.compose import Composition, outputs
from roundsmith.lab.corpus import Corpus
from roundsmith.lab.splits import Placed, Pool, deep, shallow, task_of
from roundsmith.types import Split, Task

WITHHELD = tuple(atom for i, atom in enumerate(ATOMS) if i % 10 == 4)
KEPT = tuple(atom for atom in ATOMS if atom not in WITHHELD)
NUM_A, NUM_GATE, NUM_B, NUM_C = 400, 100, 200, 200
_SEED = 20240615
_DEEP_SEED = 7
SET = "set"
"""The key of a task's `meta` that names its set: atom, A, B or C."""


def tasks(split: Split) -> list[Task]:
    """The tasks of a split: Atom_base and A train, other chains like B's are for the gate, B and C
    for `final`. `meta` names the set and the place in it.
    """
    return list(_all()[split])


@cache
def _all() -> dict[Split, tuple[Task, ...]]:
    atoms = [placed for placed in shallow() if _depth(placed) == 1 and _kept(placed)]
    pairs = [placed for placed in shallow() if _depth(placed) == 2]
    Random(derive_seed(_SEED, "pairs")).shuffle(pairs)
    known = {Split.TRAIN: Pool.TRAIN, Split.GATE: Pool.GATE, Split.FINAL: Pool.FINAL}
    same = {
        split: [p for p in pairs if p.pool is pool and _kept(p)] for split, pool in known.items()
    }
    other = (p for p in pairs if p.pool is Pool.FINAL and not _kept(p))
    deeper = (p for p in deep(_DEEP_SEED) if p.pool is Pool.FINAL and _kept(p))
    c = [*islice(other, NUM_C // 2), *islice(deeper, NUM_C - NUM_C // 2)]
    return {
        Split.TRAIN: (
            *_named(atoms, Split.TRAIN, "atom"),
            *_named(same[Split.TRAIN][:NUM_A], Split.TRAIN, "A"),
        ),
        Split.GATE: tuple(_named(same[Split.GATE][:NUM_GATE], Split.GATE, "B")),
        Split.FINAL: (
            *_named(same[Split.FINAL][:NUM_B], Split.FINAL, "B"),
            *_named(c, Split.FINAL, "C"),
        ),
    }


def _named(placed: list[Placed], split: Split, name: str) -> Iterator[Task]:
    for place, one in enumerate(_one_a_behaviour(placed)):
        task = task_of(one.composition, split)
        meta = {**task.meta, SET: name, "place": str(place)}
        yield replace(task, task_id=f"atomic/{one.composition.name}", meta=meta)


def _one_a_behaviour(placed: list[Placed]) -> list[Placed]:
    first: dict[str, Placed] = {}
    for one in placed:
        first.setdefault(one.behaviour, one)
    return list(first.values())


def _depth(placed: Placed) -> int:
    return len(placed.composition.atoms)


def _kept(placed: Placed) -> bool:
    return not any(atom in WITHHELD for atom in placed.composition.atoms)


class AtomsCorpus(Corpus):
    """The same four skills on single kept atoms alone: no chain is shown, and no withheld atom."""

    def _draw(self) -> Composition:
        return Composition((self._rng.choice(KEPT),))

    def _slip(self, composition: Composition) -> Composition | None:
        if not self.mixture.slips or self._rng.random() > self.mixture.slips:
            return None
        return self._wrong(composition)

    def _wrong(self, composition: Composition) -> Composition | None:
        """Another kept atom with the same head and other behaviour."""
        (atom,) = composition.atoms
        others = [other for other in _by_head()[atom.source, atom.target] if other is not atom]
        other = Composition((self._rng.choice(others),)) if others else None
        return other if other and outputs(other) != outputs(composition) else None


@cache
def _by_head() -> dict[tuple[str, str], tuple[Atom, ...]]:
    heads = {(atom.source, atom.target) for atom in KEPT}
    return {
        head: tuple(atom for atom in KEPT if (atom.source, atom.target) == head) for head in heads
    }
