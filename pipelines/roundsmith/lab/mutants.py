"""Wrong programs that look right: a composition with a step replaced, swapped or left out."""

from itertools import pairwise
from random import Random

from roundsmith.lab.atom import Atom
from roundsmith.lab.atoms import ATOMS_BY_SOURCE
from roundsmith.lab.compose import Composition, outputs
from roundsmith.lab.splits import Pool, pool_of

_TRIES = 8


def wrong_neighbour(composition: Composition, rng: Random) -> Composition | None:
    """Draw a composition of the base's pool, a step away and with other behaviour; None if not
    found.
    """
    right = outputs(composition)
    for _ in range(_TRIES):
        atoms = rng.choice((_replaced, _replaced, _swapped, _shortened))(composition.atoms, rng)
        if not _fits(atoms, composition):
            continue
        mutant = Composition(atoms)
        if pool_of(mutant) is Pool.BASE and outputs(mutant) != right:
            return mutant
    return None


def _replaced(atoms: tuple[Atom, ...], rng: Random) -> tuple[Atom, ...]:
    at = rng.randrange(len(atoms))
    other = rng.choice(
        [a for a in ATOMS_BY_SOURCE[atoms[at].source] if a.target is atoms[at].target]
    )
    return (*atoms[:at], other, *atoms[at + 1 :])


def _swapped(atoms: tuple[Atom, ...], rng: Random) -> tuple[Atom, ...]:
    at = rng.randrange(len(atoms))
    return (*atoms[:at], *reversed(atoms[at : at + 2]), *atoms[at + 2 :])


def _shortened(atoms: tuple[Atom, ...], rng: Random) -> tuple[Atom, ...]:
    at = rng.randrange(len(atoms))
    return atoms[:at] + atoms[at + 1 :]


def _fits(atoms: tuple[Atom, ...], composition: Composition) -> bool:
    """Whether the steps are distinct, follow each other and keep the head of the right program."""
    if not atoms or len(set(atoms)) < len(atoms) or atoms == composition.atoms:
        return False
    joints = all(before.target is after.source for before, after in pairwise(atoms))
    return (
        joints and atoms[0].source is composition.source and atoms[-1].target is composition.target
    )
