"""Compares an answer's bytes with what is expected, in the server, without building a set or dict
of hostile keys.

Two rules. STRICT, for call tests: equal by type and value; NaN equals NaN, 0.0 equals -0.0, sets
and dicts in any order, a subclass is another type. PYTHON, for `assert call == literal`: what
Python's `==` says of plain values, a subclass counted as its base value; NaN equals nothing.
"""

import math
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any

from roundsmith.executor.numbers import mapping, scalar
from roundsmith.executor.outputs import within
from roundsmith.sandbox.codec import Node

Key = tuple[Any, ...]


class Rule(Enum):
    """What equal means."""

    STRICT = "strict"
    PYTHON = "python"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a float may be from the expected one: what either allows is close enough."""

    absolute: float | None = None
    relative: float | None = None

    def __bool__(self) -> bool:
        return self.absolute is not None or self.relative is not None


_EXACT = Tolerance()


def equal(answer: Node, expected: Node, rule: Rule, tolerance: Tolerance = _EXACT) -> bool:
    """Whether the answer is the expected value; the tolerance is for floats at any depth of STRICT,
    but for the members of sets and the keys of dicts.
    """
    if tolerance:
        return _close(answer, expected, tolerance)
    return _key(answer, rule) == _key(expected, rule)


def _key(node: Node, rule: Rule) -> Key:
    """A nested tuple of strings and numbers, the same for equal values, sortable among its like."""
    if node.tag == "L":
        name, inner = node.content
        return _key(inner, rule) if rule is Rule.PYTHON else ("L", name, _key(inner, rule))
    if rule is Rule.PYTHON and (inner := mapping(node)) is not None:
        return _key(inner, rule)
    if node.tag in "lt":
        return (node.tag, *(_key(member, rule) for member in node.content))
    if node.tag in "SZ":
        tag = "S" if rule is Rule.PYTHON else node.tag
        return (tag, *_ordered(_key(member, rule) for member in node.content))
    if node.tag == "m":
        return ("m", *_ordered((_key(key, rule), _key(item, rule)) for key, item in node.content))
    return _scalar(node, rule)


def _ordered(keys: Any) -> list[Key]:
    return sorted(keys, key=repr)


def _scalar(node: Node, rule: Rule) -> Key:
    if node.tag == "P" and rule is Rule.PYTHON and (number := scalar(node)) is not None:
        return _scalar(number, rule)
    if node.tag in "OP":
        # Equal to nothing, not even to itself.
        return ("O", object())
    if node.tag == "c" and rule is Rule.STRICT:
        return ("c", _float(node.content.real), _float(node.content.imag))
    if rule is Rule.PYTHON and node.tag in "TFidc":
        # NaN is the only number that is not itself.
        return ("n", _number(node.content) if node.content == node.content else object())
    if node.tag == "i":
        # Beyond a limit Python refuses to print an int in decimal.
        return ("i", hex(node.content))
    if node.tag == "d":
        return ("d", _float(node.content))
    return (node.tag, node.content)


def _float(value: float) -> str:
    """One text for both zeros, and one for every NaN."""
    return value.hex() if value else "0"


def _number(value: bool | int | float | complex) -> str:
    """One text for all numbers that Python calls equal."""
    if isinstance(value, complex):
        return (
            _number(value.real)
            if not value.imag
            else f"{_number(value.real)}+{_number(value.imag)}j"
        )
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    exact = Fraction(value)
    return f"{exact.numerator:x}/{exact.denominator:x}"


def _close(answer: Node, expected: Node, tolerance: Tolerance) -> bool:
    if answer.tag != expected.tag:
        return False
    if answer.tag == "d":
        return _floats_close(answer.content, expected.content, tolerance)
    if answer.tag in "lt":
        return len(answer.content) == len(expected.content) and all(
            _close(a, e, tolerance) for a, e in zip(answer.content, expected.content, strict=True)
        )
    if answer.tag == "m":
        pairs = zip(_by_key(answer), _by_key(expected), strict=False)
        return len(answer.content) == len(expected.content) and all(
            _key(a[0], Rule.STRICT) == _key(e[0], Rule.STRICT) and _close(a[1], e[1], tolerance)
            for a, e in pairs
        )
    return _key(answer, Rule.STRICT) == _key(expected, Rule.STRICT)


def _by_key(node: Node) -> list[tuple[Node, Node]]:
    return sorted(node.content, key=lambda pair: repr(_key(pair[0], Rule.STRICT)))


def _floats_close(answer: float, expected: float, tolerance: Tolerance) -> bool:
    if math.isnan(expected) or math.isinf(expected):
        return answer == expected or (math.isnan(answer) and math.isnan(expected))
    return within(answer, expected, tolerance.absolute, tolerance.relative)


def truth(node: Node) -> bool | None:
    """What `bool` says of a plain value, None for one that does not cross."""
    if node.tag == "L":
        return truth(node.content[1])
    if (inner := mapping(node)) is not None:
        return truth(inner)
    return None if node.tag in "OP" else bool(node.content)


def text(node: Node, limit: int = 80) -> str:
    """The value for a person, cut; never more work than the limit asks for."""
    return _text(node, limit)[:limit]


def _text(node: Node, limit: int) -> str:
    if node.tag in "ltSZm":
        return _container_text(node, limit)
    if node.tag == "L":
        return f"{node.content[0]}({_text(node.content[1], limit)})"
    if (inner := mapping(node)) is not None:
        return f"{node.content[0]}({_text(inner, limit)})"
    if node.tag == "P":
        number = scalar(node)
        return f"<{node.content[0]}>" if number is None else f"numpy's {_text(number, limit)}"
    if node.tag == "O":
        return f"<{node.content[:limit]}>"
    if node.tag == "i" and abs(node.content) >= 10**100:
        return f"<int of {node.content.bit_length()} bits>"
    if node.tag in "sb":
        return repr(node.content[:limit])
    return repr(node.content)


def _container_text(node: Node, limit: int) -> str:
    opening, closing = {"l": ("[", "]"), "t": ("(", ")")}.get(node.tag, ("{", "}"))
    parts: list[str] = []
    for member in node.content:
        parts.append(
            ": ".join(_text(part, limit) for part in member)
            if node.tag == "m"
            else _text(member, limit)
        )
        if sum(map(len, parts)) > limit:
            break
    prefix = {"Z": "frozenset(", "S": "set(" if not parts else ""}.get(node.tag, "")
    return f"{prefix}{opening}{', '.join(parts)}{closing}"
