"""The strict value format between processes: tagged, length-prefixed, limited in size and depth;
never pickle.

N none   T F bool   i int   d float   c complex   s str   b bytes
l list   t tuple   S set   Z frozenset   m dict
L a subclass of one of these, by its base value and its class name   O anything else, by its class
name
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 2**20
MAX_DEPTH = 64
HEADER = struct.Struct("!I")
_DOUBLE = struct.Struct("!d")
_COMPLEX = struct.Struct("!dd")


class CodecError(ValueError):
    """Bytes that are not one value, or a value over the limits."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """An instance of a subclass of a built-in type: the class name and the built-in's own value."""

    type_name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that does not cross: its class name only."""

    type_name: str


CONTAINERS = (list, tuple, set, frozenset, dict)


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A plain container with its members changed; anything else as it is."""
    kind = type(value)
    if kind is dict:
        return {change(key): change(item) for key, item in value.items()}
    return kind(change(member) for member in value) if kind in CONTAINERS else value


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
        raise CodecError("the value is nested deeper than the limit")
    kind = type(value)
    writer = _WRITERS.get(kind)
    if writer is None:
        _write_foreign(out, value, max_bytes, depth)
    else:
        writer(out, value, max_bytes, depth)
    if len(out) > max_bytes:
        raise CodecError(f"the value is larger than {max_bytes} bytes")


def _write_foreign(out: bytearray, value: Any, max_bytes: int, depth: int) -> None:
    name = value.type_name if type(value) is Opaque else type(value).__name__
    for base, lower in _LOWER.items():
        if isinstance(value, base):
            out += b"L"
            _blob(out, name.encode("utf-8", "surrogatepass"))
            _write(out, lower(value), max_bytes, depth - 1)
            return
    out += b"O"
    _blob(out, name.encode("utf-8", "surrogatepass"))


def _blob(out: bytearray, content: bytes) -> None:
    out += HEADER.pack(len(content))
    out += content


def _write_int(out: bytearray, value: int, max_bytes: int, depth: int) -> None:
    size = (value.bit_length() + 8) // 8
    if size > max_bytes:
        raise CodecError(f"the value is larger than {max_bytes} bytes")
    out += b"i"
    _blob(out, value.to_bytes(size, "big", signed=True))


def _write_str(out: bytearray, value: str, max_bytes: int, depth: int) -> None:
    if len(value) > max_bytes:
        raise CodecError(f"the value is larger than {max_bytes} bytes")
    out += b"s"
    _blob(out, value.encode("utf-8", "surrogatepass"))


def _write_bytes(out: bytearray, value: bytes, max_bytes: int, depth: int) -> None:
    if len(value) > max_bytes:
        raise CodecError(f"the value is larger than {max_bytes} bytes")
    out += b"b"
    _blob(out, value)


def _sequence(tag: bytes) -> Callable[[bytearray, Iterable[object], int, int], None]:
    def write(out: bytearray, value: Any, max_bytes: int, depth: int) -> None:
        out += tag + HEADER.pack(len(value))
        for item in value:
            _write(out, item, max_bytes, depth - 1)

    return write


def _write_dict(out: bytearray, value: dict[object, object], max_bytes: int, depth: int) -> None:
    out += b"m" + HEADER.pack(len(value))
    for key, item in value.items():
        _write(out, key, max_bytes, depth - 1)
        _write(out, item, max_bytes, depth - 1)


def _constant(tag: bytes) -> Callable[[bytearray, object, int, int], None]:
    def write(out: bytearray, value: object, max_bytes: int, depth: int) -> None:
        out += tag

    return write


def _write_bool(out: bytearray, value: bool, max_bytes: int, depth: int) -> None:
    out += b"T" if value else b"F"


def _write_float(out: bytearray, value: float, max_bytes: int, depth: int) -> None:
    out += b"d" + _DOUBLE.pack(value)


def _write_complex(out: bytearray, value: complex, max_bytes: int, depth: int) -> None:
    out += b"c" + _COMPLEX.pack(value.real, value.imag)


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
    return _build(nodes(content, max_bytes, max_depth))


@dataclass(frozen=True, slots=True)
class Node:
    """One decoded value, not yet hashed: its tag; a scalar, a tuple of nodes, or (name, node)."""

    tag: str
    content: Any


def nodes(content: bytes, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Node:
    """The value as a tree that holds no set and no dict. Raises CodecError on malformed bytes."""
    if len(content) > max_bytes:
        raise CodecError(f"{len(content)} bytes, expected at most {max_bytes}")
    node, end = _read(content, 0, max_depth)
    if end != len(content):
        raise CodecError(f"{len(content) - end} bytes after the value")
    return node


_FLAT = {"N": None, "T": True, "F": False}
_SEQUENCES: dict[str, Callable[[Iterable[Any]], Any]] = {
    "l": list,
    "t": tuple,
    "S": set,
    "Z": frozenset,
}


def _read(content: bytes, at: int, depth: int) -> tuple[Node, int]:
    if depth < 0:
        raise CodecError("the value is nested deeper than the limit")
    tag = chr(content[at]) if at < len(content) else ""
    at += 1
    if tag in _FLAT:
        return Node(tag, _FLAT[tag]), at
    if tag == "d":
        return Node(tag, _DOUBLE.unpack(_take(content, at, 8))[0]), at + 8
    if tag == "c":
        return Node(tag, complex(*_COMPLEX.unpack(_take(content, at, 16)))), at + 16
    if tag not in "isbltSZmLO":
        raise CodecError(f"unknown tag {tag!r}")
    (size,) = HEADER.unpack(_take(content, at, 4))
    at += 4
    if tag in "isbLO":
        return _read_blob(tag, content, at, size, depth)
    return _read_items(tag, content, at, size, depth)


def _take(content: bytes, at: int, size: int) -> bytes:
    if at + size > len(content):
        raise CodecError("the value ends early")
    return content[at : at + size]


def _read_blob(tag: str, content: bytes, at: int, size: int, depth: int) -> tuple[Node, int]:
    blob, at = _take(content, at, size), at + size
    if tag == "i":
        if not blob:
            raise CodecError("an int of no bytes")
        return Node(tag, int.from_bytes(blob, "big", signed=True)), at
    if tag == "b":
        return Node(tag, blob), at
    try:
        text = blob.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise CodecError("a str that is not UTF-8") from error
    if tag == "L":
        inner, at = _read(content, at, depth - 1)
        return Node(tag, (text, inner)), at
    return Node(tag, text), at


def _read_items(tag: str, content: bytes, at: int, size: int, depth: int) -> tuple[Node, int]:
    count = size * 2 if tag == "m" else size
    if count > len(content) - at:
        raise CodecError("more members than bytes")
    members = []
    for _ in range(count):
        member, at = _read(content, at, depth - 1)
        members.append(member)
    if tag == "m":
        return Node(tag, tuple(zip(members[::2], members[1::2], strict=True))), at
    return Node(tag, tuple(members)), at


def _build(node: Node) -> Any:
    if node.tag in _SEQUENCES:
        return _hashed(_SEQUENCES[node.tag], [_build(member) for member in node.content])
    if node.tag == "m":
        return _hashed(dict, [(_build(key), _build(item)) for key, item in node.content])
    if node.tag == "L":
        return Lowered(node.content[0], _build(node.content[1]))
    return Opaque(node.content) if node.tag == "O" else node.content


def _hashed(make: Callable[[Any], Any], members: list[Any]) -> Any:
    try:
        made = make(members)
    except TypeError as error:
        raise CodecError("a member that can not be hashed") from error
    if len(made) != len(members):
        raise CodecError("two members alike")
    return made
