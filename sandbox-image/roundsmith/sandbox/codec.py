"""The strict value format between processes: tagged, length-prefixed, limited in size and depth;
never pickle.

N none   T F bool   i int   d float   c complex   s str   b bytes
l list   t tuple   S set   Z frozenset   m dict
L a subclass of one of these, by its base value and its class name   P a type that a process was
taught (`taught`), by its name and parts   O anything else, by its class name
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from roundsmith.sandbox import taught
from roundsmith.sandbox.reading import COMPLEX, DOUBLE, read_whole
from roundsmith.sandbox.reading import HEADER as HEADER
from roundsmith.sandbox.reading import CodecError as CodecError
from roundsmith.sandbox.reading import OverLimit as OverLimit

MAX_BYTES = 2**20
MAX_DEPTH = 64


class Lowered:
    """An instance of a subclass of a built-in type: the class name and the built-in's own value."""

    __slots__ = ("type_name", "value")

    def __init__(self, type_name: str, value: Any) -> None:
        self.type_name, self.value = type_name, value

    def __eq__(self, other: object) -> bool:
        return type(other) is Lowered and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, Any]:
        return self.type_name, self.value


class Opaque:
    """A value that does not cross: its class name only."""

    __slots__ = ("type_name",)

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def __eq__(self, other: object) -> bool:
        return type(other) is Opaque and self.type_name == other.type_name

    def __hash__(self) -> int:
        return hash(self.type_name)


class Node(NamedTuple):
    """One decoded value, not yet hashed: its tag; a scalar, a tuple of nodes, or (name, node)."""

    tag: str
    content: Any


CONTAINERS = (list, tuple, set, frozenset, dict)


def encode(value: object, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> bytes:
    """The bytes of one value. Raises CodecError over `max_bytes` or `max_depth`, so a cycle ends
    too.
    """
    out = bytearray()
    _write(out, value, max_bytes, max_depth)
    return bytes(out)


def encode_opaque(why: str) -> bytes:
    """The bytes of a value that does not cross, with a word on why."""
    out = bytearray(b"O")
    _blob(out, why.encode("utf-8", "replace"))
    return bytes(out)


def _write(out: bytearray, value: Any, max_bytes: int, depth: int) -> None:
    if depth < 0:
        raise OverLimit("the value is nested deeper than the limit")
    kind = type(value)
    writer = _WRITERS.get(kind)
    if writer is None:
        _write_foreign(out, value, max_bytes, depth)
    else:
        writer(out, value, max_bytes, depth)
    if len(out) > max_bytes:
        raise OverLimit(f"the value is larger than {max_bytes} bytes")


def _write_foreign(out: bytearray, value: Any, max_bytes: int, depth: int) -> None:
    if (parts := taught.parts_of(value)) is not None:
        part_name, content = parts
        out += b"P"
        _blob(out, part_name.encode())
        _write(out, content, max_bytes, depth - 1)
        return
    stands_in = type(value) in (Lowered, Opaque)
    name = value.type_name if stands_in else type(value).__name__
    based = type(value) is Lowered or base_of(value) is not None
    out += b"L" if based else b"O"
    _blob(out, name.encode("utf-8", "surrogatepass"))
    if based:
        own = value.value if type(value) is Lowered else own_value(value)
        _write(out, own, max_bytes, depth - 1)


def base_of(value: Any) -> type | None:
    """The built-in type that the class of a value is below, if it is."""
    return next((base for base in _LOWER if isinstance(value, base)), None)


def own_value(value: Any) -> Any:
    """What an instance of a built-in type, or of a class below one, is as the built-in itself."""
    base = base_of(value)
    if base is None:
        raise TypeError(f"{type(value).__name__} is below no built-in type")
    return _LOWER[base](value)


def _blob(out: bytearray, content: bytes) -> None:
    out += HEADER.pack(len(content))
    out += content


def _write_int(out: bytearray, value: int, max_bytes: int, depth: int) -> None:
    size = (value.bit_length() + 8) // 8
    if size > max_bytes:
        raise OverLimit(f"the value is larger than {max_bytes} bytes")
    out += b"i" + HEADER.pack(size) + value.to_bytes(size, "big", signed=True)


def _write_str(out: bytearray, value: str, max_bytes: int, depth: int) -> None:
    if len(value) > max_bytes:
        raise OverLimit(f"the value is larger than {max_bytes} bytes")
    content = value.encode("utf-8", "surrogatepass")
    out += b"s" + HEADER.pack(len(content))
    out += content


def _write_bytes(out: bytearray, value: bytes, max_bytes: int, depth: int) -> None:
    if len(value) > max_bytes:
        raise OverLimit(f"the value is larger than {max_bytes} bytes")
    out += b"b"
    _blob(out, value)


def _sequence(tag: bytes) -> Callable[[bytearray, Iterable[object], int, int], None]:
    def write(out: bytearray, value: Any, max_bytes: int, depth: int) -> None:
        out += tag + HEADER.pack(len(value))
        for item in value:
            # As `_write` does, which is a call for each.
            writer = _WRITERS.get(type(item)) if depth > 0 else None
            if writer is None:
                _write(out, item, max_bytes, depth - 1)
            else:
                writer(out, item, max_bytes, depth - 1)
                if len(out) > max_bytes:
                    raise OverLimit(f"the value is larger than {max_bytes} bytes")

    return write


def _write_dict(out: bytearray, value: dict[object, object], max_bytes: int, depth: int) -> None:
    out += b"m" + HEADER.pack(len(value))
    for key, item in value.items():
        _write(out, key, max_bytes, depth - 1)
        _write(out, item, max_bytes, depth - 1)


def _write_node(out: bytearray, value: Node, max_bytes: int, depth: int) -> None:
    """A container of that tag, whose members are values or nodes."""
    out += value.tag.encode() + HEADER.pack(len(value.content))
    for item in value.content:
        for part in item if value.tag == "m" else (item,):
            _write(out, part, max_bytes, depth - 1)


def _constant(tag: bytes) -> Callable[[bytearray, object, int, int], None]:
    def write(out: bytearray, value: object, max_bytes: int, depth: int) -> None:
        out += tag

    return write


def _write_bool(out: bytearray, value: bool, max_bytes: int, depth: int) -> None:
    out += b"T" if value else b"F"


def _write_float(out: bytearray, value: float, max_bytes: int, depth: int) -> None:
    out += b"d" + DOUBLE.pack(value)


def _write_complex(out: bytearray, value: complex, max_bytes: int, depth: int) -> None:
    out += b"c" + COMPLEX.pack(value.real, value.imag)


_WRITERS: dict[type, Callable[[bytearray, Any, int, int], None]] = {
    type(None): _constant(b"N"),
    bool: _write_bool,
    int: _write_int,
    float: _write_float,
    complex: _write_complex,
    str: _write_str,
    bytes: _write_bytes,
    list: _sequence(b"l"),
    tuple: _sequence(b"t"),
    set: _sequence(b"S"),
    frozenset: _sequence(b"Z"),
    dict: _write_dict,
    Node: _write_node,
}
# The built-in's own methods, so that an overriding subclass can not answer for its value.
_LOWER: dict[type, Callable[[Any], object]] = {
    int: int.__pos__,
    float: float.__pos__,
    complex: complex.__pos__,
    str: lambda value: str.__getitem__(value, slice(None)) + "",
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    dict: lambda value: dict(dict.items(value)),
}


def decode(content: bytes, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The value of bytes that `encode` wrote. Raises CodecError on anything else, trailing bytes
    included.

    Builds sets and dicts, so an enemy can choose colliding keys: the judge reads answers with
    `nodes` instead.
    """
    return read_whole(content, max_bytes, max_depth, valued)


def nodes(content: bytes, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Node:
    """The value as a tree that holds no set and no dict. Raises CodecError on malformed bytes."""
    node: Node = read_whole(content, max_bytes, max_depth, Node)
    return node


def valued(tag: str, content: Any) -> Any:
    """What a tag and its content make, members already made. Raises CodecError for nothing."""
    make = _MAKERS.get(tag)
    return content if make is None else make(content)


def _hashed(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def hashed(members: tuple[Any, ...]) -> Any:
        try:
            made = make(members)
        except TypeError as error:
            raise CodecError("a member that can not be hashed") from error
        if len(made) != len(members):
            raise CodecError("two members alike")
        return made

    return hashed


def _made(content: tuple[str, Any]) -> Any:
    name, parts = content
    if not _whole(parts):
        raise CodecError(f"a {name[:20]} of what does not cross")
    return taught.made(name, parts)


def _whole(value: Any) -> bool:
    """Whether nothing in it stands for something else, so that what is made of it can be sent
    back; a value of a taught type inside has been asked already.
    """
    kind = type(value)
    if kind is dict:
        return all(_whole(key) and _whole(item) for key, item in value.items())
    return all(map(_whole, value)) if kind in CONTAINERS else kind not in (Lowered, Opaque)


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "l": list,
    "S": _hashed(set),
    "Z": _hashed(frozenset),
    "m": _hashed(dict),
    "L": lambda content: Lowered(*content),
    "P": _made,
    "O": Opaque,
}
