"""In the solver: what a tester may name, hold and call, by references that cross in place of
objects.
"""

import builtins
import itertools
import operator
import types
from collections.abc import Callable
from typing import Any

from roundsmith.sandbox.codec import (
    CONTAINERS,
    CodecError,
    Node,
    Opaque,
    decode,
    encode,
    mapped,
    nodes,
)
from roundsmith.sandbox.failures import lineage

_PYTHONS_OWN = (builtins, operator, itertools)


class Exposure:
    """The program's names and the objects that a tester holds. `#3` is the fourth object, `=f` the
    program's name f, `!len` a function of Python's own.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._held: list[Any] = []

    def describe(self, body: bytes) -> bytes:
        """Of the names asked for: (name, kind, value), kind `missing`, `module`, `value`,
        `exception` (a class of them: its reference and lineage) or `object`.
        """
        return encode([self._describe(name) for name in decode(body)])

    def _describe(self, name: str) -> tuple[str, str, object]:
        if name not in self._namespace:
            return name, "missing", None
        value = self._namespace[name]
        if isinstance(value, types.ModuleType):
            return name, "module", value.__name__
        if isinstance(value, type) and issubclass(value, BaseException):
            return name, "exception", (self._reference(value), lineage(value))
        return (
            (name, "value", value) if crosses(value) else (name, "object", self._reference(value))
        )

    def call(self, body: bytes) -> bytes:
        """Calls a function, object or method: (which argument the result is, result, the arguments
        after it).
        """
        target, name, args, kwargs = decode(body)
        args = tuple(map(self._resolved, args))
        kwargs = {key: self._resolved(value) for key, value in kwargs.items()}
        function = self._resolved(target)
        result = (getattr(function, name) if name else function)(*args, **kwargs)
        alias = next((at for at, argument in enumerate(args) if argument is result), -1)
        after = tuple(map(self._sent, args))
        after_by_name = {key: self._sent(value) for key, value in kwargs.items()}
        return encode((alias, self._sent(result), after, after_by_name))

    def function(self, name: str) -> Callable[..., Any]:
        """The program's function, or the built-in, of a name. Raises NameError."""
        function = self._namespace.get(name, getattr(builtins, name, None))
        if function is None:
            raise NameError(f"the program defines no {name!r}")
        found: Callable[..., Any] = function
        return found

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, Opaque):
            kind, key = value.type_name[:1], value.type_name[1:]
            match kind:
                case "#":
                    return self._held[int(key)]
                case "!":
                    return next(getattr(m, key) for m in _PYTHONS_OWN if hasattr(m, key))
            return self.function(key)
        return mapped(value, self._resolved)

    def _sent(self, value: Any) -> Any:
        if crosses(value, lowered=True):
            return value
        return mapped(value, self._sent) if type(value) in CONTAINERS else self._reference(value)

    def _reference(self, value: Any) -> Opaque:
        """The object's reference, the same one every time."""
        for at, held in enumerate(self._held):
            if held is value:
                return Opaque(f"#{at}")
        self._held.append(value)
        return Opaque(f"#{len(self._held) - 1}")


def crosses(value: Any, lowered: bool = False) -> bool:
    """Whether a value is plain all through; with `lowered`, or a plain instance of a subclass."""
    try:
        return _plain(nodes(encode(value)), lowered)
    except CodecError:
        return False


def _plain(node: Node, lowered: bool) -> bool:
    if node.tag == "L":
        return lowered and _plain(node.content[1], False)
    if node.tag == "P":
        return _plain(node.content[1], False)
    if node.tag == "m":
        return all(_plain(part, False) for pair in node.content for part in pair)
    if node.tag in "ltSZ":
        return all(_plain(member, False) for member in node.content)
    return node.tag != "O"
