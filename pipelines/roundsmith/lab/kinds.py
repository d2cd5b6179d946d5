"""The seven types of the lab and how their values are drawn.

The domains are small on purpose: a model of a few million parameters must be able to tell what a
program returns for a value of them.
"""

from enum import StrEnum
from random import Random

from roundsmith.types import Value


class Kind(StrEnum):
    """A type, spelled as its Python annotation. A program may return a bool but never takes one."""

    INT = "int"
    BOOL = "bool"
    STR = "str"
    INTS = "list[int]"
    WORDS = "list[str]"
    ROWS = "list[list[int]]"
    COUNTS = "dict[str, int]"


SOURCES = tuple(kind for kind in Kind if kind is not Kind.BOOL)
LETTERS = "aabcdeefgiilmnoprstu"
"""Words are drawn from these; vowels come twice as often as in the alphabet."""


def sample(kind: Kind, rng: Random) -> Value:
    """Draw a value to judge programs with: up to 6 elements, numbers from -5 to 14, at times
    empty.
    """
    match kind:
        case Kind.INT:
            return rng.randint(-5, 14)
        case Kind.STR:
            return _word(rng, 0, 6)
        case Kind.INTS:
            return [rng.randint(-4, 9) for _ in range(rng.randint(0, 6))]
        case Kind.WORDS:
            return [_word(rng, 1, 5) for _ in range(rng.randint(0, 5))]
        case Kind.ROWS:
            width = rng.randint(1, 3)
            return [[rng.randint(-3, 9) for _ in range(width)] for _ in range(rng.randint(0, 3))]
        case Kind.COUNTS:
            return {_word(rng, 1, 3): rng.randint(-3, 9) for _ in range(rng.randint(0, 4))}
        case Kind.BOOL:
            return rng.random() < 0.5


def sample_easy(kind: Kind, rng: Random) -> Value:
    """Draw a value that a small model can follow: one to three elements, numbers from 0 to 12."""
    match kind:
        case Kind.INT:
            return rng.randint(0, 12)
        case Kind.STR:
            return _word(rng, 2, 4)
        case Kind.INTS:
            return [rng.randint(0, 9) for _ in range(rng.randint(1, 3))]
        case Kind.WORDS:
            return [_word(rng, 1, 3) for _ in range(rng.randint(1, 3))]
        case Kind.ROWS:
            width = rng.randint(1, 2)
            return [[rng.randint(0, 9) for _ in range(width)] for _ in range(rng.randint(1, 2))]
        case Kind.COUNTS:
            return {rng.choice("abcdeiop"): rng.randint(0, 5) for _ in range(rng.randint(1, 2))}
        case Kind.BOOL:
            return rng.random() < 0.5


def _word(rng: Random, shortest: int, longest: int) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(shortest, longest)))
