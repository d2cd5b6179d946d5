"""Chains of atoms: how a composition is written, asked for in words, run, and found valid."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from random import Random

from roundsmith.hashing import derive_seed
from roundsmith.lab.atom import Atom, compiled
from roundsmith.lab.atoms import ATOMS, ATOMS_BY_SOURCE
from roundsmith.lab.kinds import Kind, sample
from roundsmith.types import Value

ENTRY_POINT = "solve"
INDENT = "    "
SHARED_INPUTS = 64
MAX_REPR = 64
MAX_NUMBER = 1000
"""Outputs of every step stay below these, so that a program's values can be told at a glance."""
MAX_COMMONEST = 0.75
"""The largest share of the shared inputs that may give one and the same output."""
_SHARED_SEED = 20240614

_JOINS = {
    1: ("{0}", "please {0}", "{0} and return that"),
    2: (
        "{0}, then {1}",
        "{0} and then {1}",
        "first {0}, then {1}",
        "{0}; after that {1}",
        "start: {0}. next: {1}",
        "before you {1}, {0}",
    ),
    3: (
        "{0}, then {1}, then {2}",
        "{0}, {1} and then {2}",
        "first {0}, then {1}, finally {2}",
        "{0}; after that {1}; at the end {2}",
        "start: {0}. next: {1}. last: {2}",
        "{0}, then {1}; with the result of that {2}",
    ),
}


@dataclass(frozen=True, slots=True)
class Composition:
    """Atoms in the order they run: the output of each is the input of the next."""

    atoms: tuple[Atom, ...]

    @property
    def name(self) -> str:
        """The ordered atom names, joined by `+`: what a composition is known by."""
        return "+".join(atom.name for atom in self.atoms)

    @property
    def source(self) -> Kind:
        return self.atoms[0].source

    @property
    def target(self) -> Kind:
        return self.atoms[-1].target

    @property
    def head(self) -> str:
        """The def line of every program of this composition."""
        return f"def {ENTRY_POINT}(x: {self.source}) -> {self.target}:"

    def run(self, x: Value) -> Value:
        """What the reference program returns for `x`."""
        for atom in self.atoms:
            x = atom.run(x)
        return x


def body(composition: Composition, rng: Random | None = None) -> str:
    """The lines below the def line, without a newline at the end.

    Each step is in its reference form or, with `rng`, in a form drawn at random.
    """
    forms = [rng.choice(atom.forms) if rng else atom.forms[0] for atom in composition.atoms]
    lines = [line for form in forms for line in form.splitlines()]
    return "\n".join(INDENT + line for line in [*lines, "return x"])


def program(composition: Composition, rng: Random | None = None) -> str:
    """A whole program without a docstring: the reference, or with `rng` one of its forms."""
    return f"{composition.head}\n{body(composition, rng)}\n"


def describe(composition: Composition, rng: Random) -> str:
    """Ask for the composition in words: a paraphrase a step, drawn and joined at random."""
    join = rng.choice(_JOINS[len(composition.atoms)])
    return join.format(*(rng.choice(atom.phrases) for atom in composition.atoms))


@cache
def shared_inputs(kind: Kind) -> tuple[Value, ...]:
    """The 64 inputs of a type on which behaviour is compared: the same in every process."""
    rng = Random(derive_seed(_SHARED_SEED, kind))
    return tuple(sample(kind, rng) for _ in range(SHARED_INPUTS))


def outputs(composition: Composition) -> tuple[Value, ...] | None:
    """What the composition returns on the shared inputs, or None where it is not valid.

    Valid is: no step raises, returns None or leaves the small domain, and the outputs vary.
    """
    return extend(shared_inputs(composition.source), composition.atoms)


def extend(values: tuple[Value, ...], atoms: tuple[Atom, ...]) -> tuple[Value, ...] | None:
    """Run further atoms on the values of earlier ones; None where that is not valid."""
    for atom in atoms:
        values = tuple(map(compiled(atom.forms[0]), values))
        texts = [repr(value) for value in values]
        if _outgrown(atom.target, values, texts) or not _varies(texts):
            return None
    return values


def chains(depth: int) -> list[Composition]:
    """Every chain of `depth` distinct, type-compatible atoms, valid or not, in a fixed order."""
    found: list[tuple[Atom, ...]] = [(atom,) for atom in ATOMS]
    for _ in range(depth - 1):
        found = [
            (*chain, atom)
            for chain in found
            for atom in ATOMS_BY_SOURCE[chain[-1].target]
            if atom not in chain
        ]
    return [Composition(chain) for chain in found]


def _outgrown(target: Kind, values: tuple[Value, ...], texts: list[str]) -> bool:
    if "None" in texts or max(map(len, texts)) > MAX_REPR:
        return True
    return target is Kind.INT and max(map(abs, values)) > MAX_NUMBER


def _varies(texts: list[str]) -> bool:
    return max(Counter(texts).values()) <= MAX_COMMONEST * len(texts)
