"""What makes two programs, or two tests, the same: their content, not their ids. Chance is drawn
from it too, so that it falls alike on any number of slots and after a restart.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from random import Random
from typing import Any

from roundsmith.sandbox.codec import encode
from roundsmith.types import Program, Test

_MOST, _DEEP = 2**31, 200
_WHOLE = 2**64
_MIX = 0x9E3779B97F4A7C15
"""Odd and without a pattern (the golden ratio), so that equal leading bits do not stay equal."""
_SCALARS = (str, int, float, bool, bytes, complex, type(None))


class _Kind(str):
    """The name of a type. As a class of its own it is encoded as no text of a caller is."""

    __slots__ = ()


def digest_of_program(program: Program) -> bytes:
    """32 bytes of everything that a program is run with, but its id."""
    return _digest(program, "code_id")


def digest_of_test(test: Test) -> bytes:
    """32 bytes of everything that a test is, but its id."""
    return _digest(test, "test_id")


def selected(program: bytes, test: bytes, share: float) -> bool:
    """Whether a cell, by its two digests, is among the `share` of all cells that chance picks."""
    drawn = (int.from_bytes(program[:8]) ^ int.from_bytes(test[:8])) * _MIX % _WHOLE
    return drawn < share * _WHOLE


def shuffled(places: list[int], program: bytes) -> list[int]:
    """The places in an order drawn by the program."""
    Random(program).shuffle(places)
    return places


def _digest(thing: Any, id_field: str) -> bytes:
    header, names = _content_of(type(thing), id_field)
    digest = hashlib.sha256(header)
    for name in names:
        digest.update(encode(_plain(getattr(thing, name)), _MOST, _DEEP))
    return digest.digest()


def _find_content(kind: type, id_field: str) -> tuple[bytes, tuple[str, ...]]:
    """What a type's digests begin with, and its fields but the id. An encoding tells where it ends,
    so that no two things are one text.
    """
    names = tuple(f.name for f in dataclasses.fields(kind) if f.name != id_field)
    return encode((_Kind(kind.__name__), *names)), names


_content_of: Callable[[type, str], tuple[bytes, tuple[str, ...]]] = cache(_find_content)


def _plain(value: Any) -> Any:
    """The value as what has one encoding. Raises TypeError for what could be mistaken for another.

    A set has no order of its own, so it is the sorted encodings of its members.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind in (list, tuple):
        return kind(map(_plain, value))
    if kind in (set, frozenset):
        members = sorted(encode(_plain(member), _MOST, _DEEP) for member in value)
        return (_Kind(kind.__name__), *members)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return _plain(value.value)
    if dataclasses.is_dataclass(value):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return (_Kind(kind.__name__), fields)
    raise TypeError(f"{kind.__name__}: expected a value that crosses the wire")
