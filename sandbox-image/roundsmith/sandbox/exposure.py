"""In the solver: what a tester may name, hold and call, by references that cross in place of
objects.
"""

import builtins
import copy
import itertools
import operator
import types
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from roundsmith.sandbox import seeds
from roundsmith.sandbox.codec import (
    CONTAINERS,
    CodecError,
    Lowered,
    Node,
    Opaque,
    base_of,
    decode,
    encode,
    mapped,
    nodes,
    own_value,
)
from roundsmith.sandbox.failures import lineage

_PYTHONS_OWN = (builtins, operator, itertools, copy)
COROUTINE = "coroutine"
_DEEPEST = 16
CHANGING = {kind.__name__: kind for kind in (list, dict, set)}
"""Built-in types whose instances a call may change, so that a tester looks at one anew each time
that it compares it.
"""


class Exposure:
    """The program's names and the objects that a tester holds. `#3` is the fourth object, `#3 list`
    if it is one besides, `=f` the program's name f, `!len` a function of Python's own.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._held: list[Any] = []
        self._at: dict[int, int] = {}

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
        if crosses(value) and type(value) not in CHANGING.values():
            return name, "value", value
        kept = type(value) in CONTAINERS
        return name, "object", self._reference(value) if kept else self._sent(value)

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
                    return self._held[int(key.partition(" ")[0])]
                case "!" if key in _OURS:
                    return _OURS[key]
                case "!":
                    return next(getattr(m, key) for m in _PYTHONS_OWN if hasattr(m, key))
            return self.function(key)
        return mapped(value, self._resolved)

    def _sent(self, value: Any, below: int = 0) -> Any:
        """Itself where it is plain; a reference, with what it is as a built-in that never changes,
        where its class is below one, but for what is in too many such; else a reference.
        """
        if crosses(value):
            return value
        if type(value) in CONTAINERS:
            return mapped(value, partial(self._sent, below=below))
        base = base_of(value)
        if base is None or base in CHANGING.values() or below == _DEEPEST:
            return self._reference(value)
        own = mapped(own_value(value), partial(self._sent, below=below + 1))
        return Lowered(self._reference(value).type_name, own)

    def _reference(self, value: Any) -> Opaque:
        """The object's reference, the same one every time."""
        at = self._at.setdefault(id(value), len(self._held))
        if at == len(self._held):
            self._held.append(value)
        word = COROUTINE if isinstance(value, types.CoroutineType) else _changing(value)
        return Opaque(f"#{at} {word}".rstrip())


def _changing(value: Any) -> str:
    base = base_of(value)
    return next((word for word, kind in CHANGING.items() if kind is base), "")


def _awaited(awaitable: Any) -> Any:
    """What comes of it, in an event loop that is kept for what waits there."""

    async def wait() -> Any:
        return await awaitable

    return _event_loop().run_until_complete(wait())


@cache
def _event_loop() -> Any:
    import asyncio  # few programs need it, and a zygote without it is the smaller

    return asyncio.new_event_loop()


_OURS: dict[str, Callable[..., Any]] = {"await": _awaited, "own": own_value, "seed": seeds.seed}


def crosses(value: Any) -> bool:
    """Whether a value is plain all through."""
    try:
        return _plain(nodes(encode(value)))
    except CodecError:
        return False


def _plain(node: Node) -> bool:
    if node.tag == "P":
        return _plain(node.content[1])
    if node.tag == "m":
        return all(_plain(part) for pair in node.content for part in pair)
    if node.tag in "ltSZ":
        return all(map(_plain, node.content))
    return node.tag not in "LO"
