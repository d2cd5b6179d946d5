"""The types that a process was taught to send by their parts, and to make of them."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from roundsmith.sandbox.reading import CodecError

Parts = tuple[str, Any]

_parts_by_type: dict[type, Callable[[Any], Parts | None]] = {}
_making: dict[str, Callable[[Any], Any]] = {}
_taking_over: list[Callable[[Any, Any], None]] = []
_changing: set[type] = set()


def extend(
    kind: type, parts: Callable[[Any], Parts | None], changing: Collection[type] = ()
) -> None:
    """Teaches this process to write a type, by a name and parts that cross. `parts` may raise
    CodecError for a value that does not, or give None for one that crosses as what it is besides.
    `changing` has the type if its values can be changed.
    """
    _parts_by_type[kind] = parts
    _changing.update({kind}.intersection(changing))


def make_parted(
    makers: Mapping[str, Callable[[Any], Any]], take_over: Callable[[Any, Any], None]
) -> None:
    """Teaches this process to make such values of their parts, by name, and to make one of them
    what another is.
    """
    _making.update(makers)
    _taking_over.append(take_over)


def parts_of(value: Any) -> Parts | None:
    """The name and parts of a value of a type that this process was taught."""
    parts = _parts_by_type.get(type(value))
    return None if parts is None else parts(value)


def parted(value: object) -> bool:
    """Whether this process was taught the type of a value."""
    return type(value) in _parts_by_type


def may_change(value: object) -> bool:
    """Whether a value is of a taught type whose values can be changed, or holds one of these."""
    kind = type(value)
    if kind is tuple or kind is frozenset:
        return any(map(may_change, value))  # type: ignore[call-overload]  # it is one of the two
    return kind in _changing


def made(name: str, parts: Any) -> Any:
    """The value of its parts. Raises CodecError for parts that are none, and for a name that this
    process was not taught.
    """
    if name not in _making:
        raise CodecError(f"a {name[:20]} where none is known")
    try:
        return _making[name](parts)
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"parts that make no {name}: {error}") from error


def take_over(given: Any, changed: Any) -> None:
    """Makes a mutable value of a taught type what another of its type is."""
    for work in _taking_over:
        work(given, changed)
