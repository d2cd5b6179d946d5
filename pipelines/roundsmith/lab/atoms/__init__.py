"""The hundred atomic functions, ten a topic, and how they are found."""

from roundsmith.lab.atom import Atom
from roundsmith.lab.atoms import (
    arithmetic,
    characters,
    lists,
    matrices,
    number_theory,
    recursion_and_bits,
    searching,
    sets_and_dicts,
    sorting,
    strings,
)
from roundsmith.lab.kinds import Kind

TOPICS = (
    arithmetic,
    number_theory,
    sorting,
    searching,
    lists,
    strings,
    characters,
    sets_and_dicts,
    matrices,
    recursion_and_bits,
)
ATOMS: tuple[Atom, ...] = tuple(
    Atom(name, topic.TOPIC, source, target, phrases, forms)
    for topic in TOPICS
    for name, source, target, phrases, forms in topic.ATOMS
)
ATOM_BY_NAME = {atom.name: atom for atom in ATOMS}
ATOMS_BY_SOURCE = {kind: tuple(atom for atom in ATOMS if atom.source is kind) for kind in Kind}
