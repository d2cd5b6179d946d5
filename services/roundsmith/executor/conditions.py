"""What an assert says of one call's value by Python's own functions, such as `abs(f(2) - 1.4) <
0.1`: read from the test's syntax tree, and decided here, for values that are plain and small.

Nothing that a test or program wrote is run. The functions are Python's own, whatever the program
calls so, and a value is made anew of the answer's bytes as exactly the built-in type that it says.
"""

import ast
import builtins
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

from roundsmith.executor.literals import literal
from roundsmith.sandbox.codec import Node

MATH = "math"
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (abs, bool, float, frozenset, int, len, list, round, set, sorted, tuple)
}
_OF_MATH: dict[str, Callable[..., Any]] = {"fabs": math.fabs, "isclose": math.isclose}
_TYPES: dict[str, type] = {
    one.__name__: one
    for one in (bool, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)
}
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_SETS, _IN_ORDER = frozenset({"set", "frozenset"}), frozenset({"list", "tuple"})
_SCALARS, _REAL = frozenset("NTFidcsb"), frozenset("TFid")
_MOST_DIGITS, _DEEPEST = 32, 4
# So few can be hashed to one place on purpose at no cost that matters.
_MOST_HASHED = 512
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of a call's value."""

    _of: Callable[[Any], object]
    _functions: frozenset[str]
    """Those that are given the value, or what others made of it."""

    def holds(self, node: Node) -> bool | None:
        """Whether it holds; None where a tester must say: of what is no plain value, large, or in
        no order that is the same everywhere. Raises what Python does for a value that it is not
        made for.
        """
        if not self._is_decided_here(node):
            return None
        try:
            return bool(self._of(_value(node)))
        except (TypeError, ValueError, ArithmeticError):
            # Within containers it may be for what comes first.
            if node.tag in _SCALARS:
                raise
            return None

    def _is_decided_here(self, node: Node) -> bool:
        inside = _inside(node)
        if any(one.tag in "OPL" for one in inside):
            return False
        sets = any(one.tag in "SZ" for one in inside)
        hashes = sets or not self._functions.isdisjoint(_SETS)
        if (hashes or any(one.tag == "m" for one in inside)) and len(inside) > _MOST_HASHED:
            return False
        # Members of sets have another order in another process, and a NaN is found as itself.
        if hashes and not self._functions.isdisjoint(_IN_ORDER):
            return False
        if hashes and "sorted" in self._functions and not _is_ordered(node):
            return False
        return not any(one.tag in "dc" and one.content != one.content for one in inside[1:])


class _Read(NamedTuple):
    """A part of an assert: what it comes to for the call's value, and by which functions."""

    of: Callable[[Any], Any]
    functions: frozenset[str] | None
    """None for a part that the call is not in: its value is the same for every call's."""


class Reader:
    """Reads one assert's condition. Raises ValueError, TypeError or ArithmeticError for one that is
    not decided here.
    """

    def __init__(self) -> None:
        self.call: ast.Call | None = None
        """The one call of the program's, once it was met."""
        self.names: set[str] = set()
        """What the condition has from Python: built-ins, and `math`."""

    def condition(self, test: ast.expr) -> Condition:
        """What the test of an assert says."""
        read = self._part(test, 0)
        if read.functions is None:
            raise ValueError("no call of the program's")
        return Condition(read.of, read.functions)

    def _part(self, node: ast.expr, depth: int) -> _Read:
        if depth > _DEEPEST:
            raise ValueError("nested deeper than needed")
        match node:
            case ast.Compare():
                return self._compared(node, depth)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _applied(operator.not_, [self._part(operand, depth + 1)])
            case ast.BinOp(left=left, op=ast.Sub(), right=right) if _has_call(node):
                return _applied(
                    operator.sub, [self._part(left, depth + 1), self._part(right, depth + 1)]
                )
            case ast.Call():
                return self._called(node, depth)
        return _constant(literal(node, self.names))

    def _compared(self, node: ast.Compare, depth: int) -> _Read:
        parts = [self._part(one, depth + 1) for one in (node.left, *node.comparators)]
        if all(part.functions is None for part in parts[:2]):
            raise ValueError("a call that may not be made")
        for op, one, other in zip(node.ops, parts, parts[1:], strict=False):
            constants = [part.of(None) for part in (one, other) if part.functions is None]
            if isinstance(op, ast.Is | ast.IsNot) and not any(
                constant is None or type(constant) is bool for constant in constants
            ):
                raise ValueError("identity of what there may be several of")
        compared = tuple(_COMPARED[type(op)] for op in node.ops)
        if len(compared) == 1:
            return _applied(compared[0], parts)

        def of(*values: Any) -> bool:
            return all(map(lambda how, a, b: how(a, b), compared, values, values[1:]))

        return _applied(of, parts)

    def _called(self, node: ast.Call, depth: int) -> _Read:
        match node:
            case ast.Call(func=ast.Name(id="isinstance"), args=[value, kinds], keywords=[]):
                self.names.add("isinstance")
                chosen = self._types(kinds)
                return _applied(lambda of: isinstance(of, chosen), [self._part(value, depth + 1)])
            case ast.Call(func=ast.Name(id=name)) if name in _FUNCTIONS:
                self.names.add(name)
                return self._function(name, _FUNCTIONS[name], node, depth)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr=name)) if (
                name in _OF_MATH
            ):
                self.names.add(MATH)
                return self._function(name, _OF_MATH[name], node, depth)
            case ast.Call(func=ast.Name(id=name)) if not hasattr(builtins, name):
                if self.call is not None:
                    raise ValueError("two calls of the program's")
                self.call = node
                return _Read(lambda value: value, frozenset())
        raise ValueError("a call of what is not known here")

    def _function(
        self, name: str, function: Callable[..., Any], node: ast.Call, depth: int
    ) -> _Read:
        given = [self._part(argument, depth + 1) for argument in node.args]
        by_name = {word.arg or "": literal(word.value, self.names) for word in node.keywords}
        match name, given, by_name:
            case "isclose", [_, _], _ if by_name.keys() <= {"rel_tol", "abs_tol"}:
                pass
            case _, [], {} if not by_name:
                pass
            case "round", [value, _Read(functions=None) as digits], {} if not by_name:
                count = digits.of(None)
                if type(count) is not int or abs(count) > _MOST_DIGITS:
                    raise ValueError("more digits than a float has")
                return _applied(partial(round, ndigits=count), [value], name)
            case _, [value], {} if not by_name:
                fixed = value.functions is None and isinstance(value.of(None), set | frozenset)
                if fixed and name in _IN_ORDER:
                    raise ValueError("an order that is another in another process")
            case _:
                raise ValueError("arguments that are not known here")
        return _applied(partial(function, **by_name) if by_name else function, given, name)

    def _types(self, node: ast.expr) -> tuple[type, ...]:
        kinds = node.elts if isinstance(node, ast.Tuple) else [node]
        found = [kind.id for kind in kinds if isinstance(kind, ast.Name) and kind.id in _TYPES]
        if len(found) != len(kinds):
            raise ValueError("types that are not known here")
        self.names.update(found)
        return tuple(_TYPES[name] for name in found)


def _constant(value: Any) -> _Read:
    return _Read(lambda _: value, None)


def _applied(function: Callable[..., Any], parts: list[_Read], name: str = "") -> _Read:
    """A function of what parts come to; of constants only, their constant."""
    given = [part.functions for part in parts if part.functions is not None]
    if not given:
        return _constant(function(*(part.of(None) for part in parts)))
    functions = shared(frozenset({name} if name else ()).union(*given))
    if len(parts) == 1:
        (only,) = (part.of for part in parts)
        return _Read(lambda value: function(only(value)), functions)
    every = tuple(part.of for part in parts)
    return _Read(lambda value: function(*(of(value) for of in every)), functions)


@lru_cache(maxsize=_KEPT)
def shared(names: frozenset[str]) -> frozenset[str]:
    """The same one for the same names: many conditions have few different ones."""
    return names


def _has_call(node: ast.expr) -> bool:
    return any(isinstance(one, ast.Call) for one in ast.walk(node))


def _inside(node: Node) -> list[Node]:
    """The node and all in it."""
    found = [node]
    for one in found:
        if one.tag in "ltSZ":
            found += one.content
        elif one.tag == "m":
            found += [part for pair in one.content for part in pair]
    return found


def _is_ordered(node: Node) -> bool:
    """Whether what is in it comes to one order, however it is sorted."""
    if node.tag in _SCALARS:
        return True
    members = (key for key, _ in node.content) if node.tag == "m" else node.content
    tags = {member.tag for member in members}
    return tags <= {"s"} or tags <= _REAL


def _value(node: Node) -> Any:
    """The plain value of a node that holds nothing else."""
    if node.tag in _SCALARS:
        return node.content
    if node.tag == "m":
        return {_value(key): _value(item) for key, item in node.content}
    kind = {"l": list, "t": tuple, "S": set, "Z": frozenset}[node.tag]
    return kind(map(_value, node.content))
