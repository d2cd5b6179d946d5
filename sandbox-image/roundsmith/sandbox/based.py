"""An object of the program's whose class is below a built-in type, as a tester holds it: what it is
as the built-in is looked at here, what its class adds is asked for over there.

So a namedtuple has its fields and a member of an `IntEnum` its name, and yet no class can answer
for what it compares equal to, holds, or how long it is.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

from roundsmith.sandbox.codec import Opaque
from roundsmith.sandbox.remote import (
    BETWEEN,
    COMPARED,
    SIGNS,
    Based,
    Caller,
    Remote,
    Theirs,
    ask,
    of_one,
)

_QUERIES = frozenset(
    {"count", "index", "isdisjoint", "issubset", "issuperset"}
    | {"difference", "intersection", "symmetric_difference", "union"}
)
"""Methods that tell of a container's members by a value that they are shown: the built-in's, unless
the class has a plain value of that name.
"""
_NUMBERS = (int, float, complex)
_ARITHMETIC = frozenset(["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"])


def based(link: Caller, reference: Opaque, value: Any) -> Any:
    """The object of a reference, which is that value as a built-in of a type that never changes."""
    kind = _KINDS.get(type(value))
    if kind is None:
        raise link.failure("TAMPERED", f"a value of {type(value).__name__} that never changes")
    made = kind(value.real, value.imag) if type(value) is complex else kind(value)
    made.__dict__.update(_Remote__link=link, _Remote__reference=reference)
    return made


def _operator(base: type, name: str) -> Callable[[Any, Any], Any]:
    """Between two objects of the program's it is theirs, else the built-in's; so it is for the
    arithmetic of two numbers, because a difference is what a tolerance is held against.
    """
    own = getattr(base, f"__{name.strip('_')}__", None)
    reckons = base in _NUMBERS and name in _ARITHMETIC

    def work(self: Any, other: Any, *modulus: Any) -> Any:
        if isinstance(other, Theirs) and not (reckons and isinstance(other, _NUMBERS)):
            return ask(self, name, other)
        return NotImplemented if own is None else own(self, other, *modulus)

    return work


def _value_or_query(base: type, name: str) -> property:
    def get(self: Any) -> Any:
        found = ask(self, "getattr", name)
        return getattr(base, name).__get__(self) if isinstance(found, Remote) else found

    return property(get)


def _below(base: type) -> type:
    added: dict[str, Any] = {
        f"__{name.strip('_')}__": _operator(base, name) for name in BETWEEN.split()
    }
    added |= {name: _value_or_query(base, name) for name in _QUERIES if hasattr(base, name)}
    lacks = [name for name in SIGNS.split() if not hasattr(base, f"__{name}__")]
    added |= {f"__{name}__": of_one(name) for name in lacks}
    if base is int:
        # Members of flags.
        added["__contains__"] = lambda self, key: bool(ask(self, "contains", key))
    return type(base.__name__, (Based, base), added)


_KINDS = {base: _below(base) for base in (int, float, complex, str, bytes, tuple, frozenset)}


class Changing(Remote):
    """A list, dict or set of a class of the program's: what it holds is read anew when the program
    was asked for anything since, so that it is one value for all that is compared between.
    """

    __slots__ = ("__base", "__read")

    def __init__(self, link: Caller, reference: Opaque, base: type) -> None:
        super().__init__(link, reference)
        object.__setattr__(self, "_Changing__base", base)
        object.__setattr__(self, "_Changing__read", (-1, None))

    @property  # type: ignore[misc]  # it is never set
    def __class__(self) -> Any:
        """So that it is an instance of the built-in type here."""
        return object.__getattribute__(self, "_Changing__base")

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        query = name in _QUERIES and isinstance(found, Remote) and hasattr(self.__class__, name)
        return getattr(_own(self), name) if query else found

    def __getitem__(self, key: Any) -> Any:
        """What its class makes of a key that it does not hold is asked for."""
        held = _own(self)
        missing = isinstance(held, dict) and key not in held
        return super().__getitem__(key) if missing else held[key]

    def __contains__(self, key: Any) -> bool:
        return key in _own(self)

    def __iter__(self) -> Iterator[Any]:
        return iter(_own(self))

    def __reversed__(self) -> Iterator[Any]:
        held: Iterator[Any] = reversed(_own(self))
        return held

    def __iadd__(self, more: Any) -> Any:
        return ask(self, "iadd", more)

    def __len__(self) -> int:
        return len(_own(self))

    def __bool__(self) -> bool:
        return bool(_own(self))


def _own(changing: Changing) -> Any:
    """What it is as a built-in, now. What is none could answer for itself."""
    link: Caller = object.__getattribute__(changing, "_Remote__link")
    at, own = object.__getattribute__(changing, "_Changing__read")
    if at != link.num_calls:
        own, base = ask(changing, "own"), changing.__class__
        if type(own) is not base:
            raise link.failure("TAMPERED", f"a {base.__name__} that is none")
        object.__setattr__(changing, "_Changing__read", (link.num_calls, own))
    return own


def cross_to_json() -> None:
    """Has `json` in this process write what it finds to be no list and no dict of its own."""
    import json  # few tests need it

    known = json.JSONEncoder.default

    def default(encoder: json.JSONEncoder, value: Any) -> Any:
        return _own(value) if type(value) is Changing else known(encoder, value)

    setattr(json.JSONEncoder, "default", default)  # noqa: B010


def _compared(name: str) -> Callable[[Any, Any], Any]:
    def work(self: Any, other: Any) -> Any:
        link: Caller = object.__getattribute__(self, "_Remote__link")
        if link.updating and name == "__eq__":
            return self is other
        same = _own(other) if type(other) is Changing else other
        return getattr(_own(self), name)(same)

    return work


def _operators(function: str) -> dict[str, Callable[[Any, Any], Any]]:
    """Between two objects of the program's it is theirs, else the built-in's."""
    own, word = getattr(operator, function), function.strip("_")

    def work(self: Any, other: Any) -> Any:
        return ask(self, function, other) if isinstance(other, Theirs) else own(_own(self), other)

    return {f"__{word}__": work, f"__r{word}__": lambda self, other: own(other, _own(self))}


for _name in ("eq", "ne", *COMPARED.split()):
    setattr(Changing, f"__{_name}__", _compared(f"__{_name}__"))
for _name in BETWEEN.split():
    for _method, _work in _operators(_name).items():
        setattr(Changing, _method, _work)
