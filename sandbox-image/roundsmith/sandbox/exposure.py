"""In the solver: what a tester may name, hold and call, by references that cross in place of
objects.
"""

import builtins
import copy
import itertools
import operator
import types
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from roundsmith.sandbox import seeds, taught
from roundsmith.sandbox.codec import (
    CONTAINERS,
    MAX_BYTES,
    CodecError,
    Lowered,
    Node,
    Opaque,
    base_of,
    encode,
    nodes,
    own_value,
)
from roundsmith.sandbox.failures import OVERSIZED, classify, lineage
from roundsmith.sandbox.mirror import Mirror
from roundsmith.sandbox.mirrored import KINDS

_PYTHONS_OWN = (builtins, operator, itertools, copy)
COROUTINE = "coroutine"
_DEEPEST = 16
_MOST_OF_A_GLOBAL = MAX_BYTES // 4
"""Bytes; a larger list, dict or set is looked at where it is."""
CHANGING = {kind.__name__: kind for kind in KINDS}
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
        self._below = 0
        self._mirror = Mirror(self, follows=True)

    def describe(self, body: bytes) -> bytes:
        """Of the names asked for: (name, kind, value), kind `missing`, `module`, `value`,
        `exception` (a class of them: its reference and lineage) or `object`.
        """
        (names,) = self._mirror.read(body)
        draft = self._mirror.draft(tuple(map(self._describe, names)))
        return self._mirror.sealed(draft)

    def _describe(self, name: str) -> tuple[str, str, object]:
        if name not in self._namespace:
            return name, "missing", None
        value = self._namespace[name]
        if isinstance(value, types.ModuleType):
            return name, "module", value.__name__
        if isinstance(value, type) and issubclass(value, BaseException):
            return name, "exception", (value, lineage(value))
        if type(value) in KINDS:
            fits = self._mirror.fits(value, _MOST_OF_A_GLOBAL)
            return name, *(("value", value) if fits else ("object", Apart(value)))
        if crosses(value):
            return name, "value", value
        return name, "object", Apart(value) if type(value) in CONTAINERS else value

    def call(self, body: bytes) -> bytes:
        """Calls a function, object or method: (which argument the result is, result, the arguments
        after it, of those that are copied here and may have changed).
        """
        function, name, args, named = self._mirror.read(body)
        kwargs = dict(named)
        result = (getattr(function, name) if name else function)(*args, **kwargs)
        alias = next((at for at, argument in enumerate(args) if argument is result), -1)
        after = tuple(map(_after, args)), tuple(map(_after, kwargs.values()))
        draft = self._mirror.draft((alias, result, *after))
        # What only this call holds is let go.
        del function, args, named, kwargs, result, after
        return self._mirror.sealed(draft)

    def failure(self, told: tuple[str, str], raised: tuple[Any, ...]) -> bytes:
        """What a call ended in instead, with what it changed before, unless that is too much."""
        try:
            if told[0] != OVERSIZED:
                return self._mirror.sealed(self._mirror.draft((*told, *raised)))
        except CodecError as error:
            told = classify(error, "")
        return self._mirror.only(told)

    def function(self, name: str) -> Callable[..., Any]:
        """The program's function, or the built-in, of a name. Raises NameError."""
        function = self._namespace.get(name, getattr(builtins, name, None))
        if function is None:
            raise NameError(f"the program defines no {name!r}")
        found: Callable[..., Any] = function
        return found

    def arrive(self, tag: str, name: str, value: Any) -> Any:
        """What a name of the tester's means: an object that it holds, or a function."""
        if tag == "P":
            return value
        kind, key = name[:1], name[1:]
        match kind:
            case "#":
                return self._held[int(key.partition(" ")[0])]
            case "!" if key in _OURS:
                return _OURS[key]
            case "!":
                return next(getattr(m, key) for m in _PYTHONS_OWN if hasattr(m, key))
        return self.function(key)

    def leave(self, value: Any, depth: int, hashed: bool) -> Any:
        """Itself where it is plain; a reference, with what it is as a built-in that never changes,
        where its class is below one, but for what is in too many such; else a reference.
        """
        if type(value) is Apart:
            return self._reference(value.value, hashed)
        if taught.parted(value) and crosses(value):
            return value
        base = base_of(value)
        if base is None or base in KINDS or self._below == _DEEPEST:
            return self._reference(value, hashed)
        self._below += 1
        try:
            own = self._mirror.wire(own_value(value), depth, hashed)
        finally:
            self._below -= 1
        return Lowered(self._reference(value, hashed).type_name, own)

    def _reference(self, value: Any, hashed: bool) -> Opaque:
        """The object's reference, the same one every time."""
        at = self._at.setdefault(id(value), len(self._held))
        if at == len(self._held):
            self._held.append(value)
        word = COROUTINE if isinstance(value, types.CoroutineType) else _changing(value)
        name = f"#{at} {word}".rstrip()
        if hashed:
            self._mirror.tell(name, _hash(value))
        return Opaque(name)


class Apart(NamedTuple):
    """An object that is sent by reference, whatever it is."""

    value: Any


def _after(argument: Any) -> Any:
    return argument if taught.may_change(argument) else None


def _hash(value: Any) -> int:
    """Of a key or member, whose own method may say anything by now."""
    try:
        return hash(value)
    except Exception:
        return id(value)


def _changing(value: Any) -> str:
    base = base_of(value)
    return base.__name__ if base in KINDS else ""


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
    """Whether a value is plain all through, and within the limits."""
    try:
        return is_plain(value)
    except CodecError:
        return False


def is_plain(value: Any) -> bool:
    """Whether a value is plain all through. Raises OverLimit for one that is too large or deep to
    tell, CodecError for one that has something in it which does not cross.
    """
    return _plain(nodes(encode(value)))


def _plain(node: Node) -> bool:
    if node.tag == "P":
        return _plain(node.content[1])
    if node.tag == "m":
        return all(_plain(part) for pair in node.content for part in pair)
    if node.tag in "ltSZ":
        return all(map(_plain, node.content))
    return node.tag not in "LO"
