"""Reads the bytes of the value format, strictly: what becomes of each value is the caller's."""

import struct
from collections.abc import Callable
from typing import Any

HEADER = struct.Struct("!I")
DOUBLE = struct.Struct("!d")
COMPLEX = struct.Struct("!dd")


class CodecError(ValueError):
    """Bytes that are not one value, or a value over the limits."""


class OverLimit(CodecError):
    """A value that would cross, were it not over the limits."""


Make = Callable[[str, Any], Any]
"""What a reader makes of a tag and its content, members already made."""


def read_whole(content: bytes, max_bytes: int, max_depth: int, make: Make) -> Any:
    """What `make` makes of the one value in the bytes. Raises CodecError on malformed ones."""
    if len(content) > max_bytes:
        raise CodecError(f"{len(content)} bytes, expected at most {max_bytes}")
    made, end = _read(content, 0, max_depth, make)
    if end != len(content):
        raise CodecError(f"{len(content) - end} bytes after the value")
    return made


def _read(content: bytes, at: int, depth: int, make: Make) -> tuple[Any, int]:
    if depth < 0:
        raise CodecError("the value is nested deeper than the limit")
    reader = _READERS.get(content[at : at + 1])
    if reader is None:
        raise CodecError(f"unknown tag {content[at : at + 1].decode('latin-1')!r}")
    return reader(content, at + 1, depth, make)


def _unpack(layout: struct.Struct, content: bytes, at: int) -> tuple[Any, ...]:
    if at + layout.size > len(content):
        raise CodecError("the value ends early")
    return layout.unpack_from(content, at)


def _blob_at(content: bytes, at: int) -> tuple[bytes, int]:
    start = at + HEADER.size
    end = start + int(_unpack(HEADER, content, at)[0])
    if end > len(content):
        raise CodecError("the value ends early")
    return content[start:end], end


def _text_at(content: bytes, at: int) -> tuple[str, int]:
    blob, end = _blob_at(content, at)
    try:
        return blob.decode("utf-8", "surrogatepass"), end
    except UnicodeDecodeError as error:
        raise CodecError("a str that is not UTF-8") from error


Reader = Callable[[bytes, int, int, Make], tuple[Any, int]]


def _flat(tag: str, value: bool | None) -> Reader:
    return lambda content, at, depth, make: (make(tag, value), at)


def _read_double(content: bytes, at: int, depth: int, make: Make) -> tuple[Any, int]:
    return make("d", _unpack(DOUBLE, content, at)[0]), at + DOUBLE.size


def _read_complex(content: bytes, at: int, depth: int, make: Make) -> tuple[Any, int]:
    return make("c", complex(*_unpack(COMPLEX, content, at))), at + COMPLEX.size


def _read_int(content: bytes, at: int, depth: int, make: Make) -> tuple[Any, int]:
    blob, end = _blob_at(content, at)
    if not blob:
        raise CodecError("an int of no bytes")
    return make("i", int.from_bytes(blob, "big", signed=True)), end


def _read_bytes(content: bytes, at: int, depth: int, make: Make) -> tuple[Any, int]:
    blob, end = _blob_at(content, at)
    return make("b", blob), end


def _read_text(tag: str) -> Reader:
    def read(content: bytes, at: int, depth: int, make: Make) -> tuple[Any, int]:
        text, end = _text_at(content, at)
        return make(tag, text), end

    return read


def _read_named(tag: str) -> Reader:
    def read(content: bytes, at: int, depth: int, make: Make) -> tuple[Any, int]:
        name, at = _text_at(content, at)
        inner, at = _read(content, at, depth - 1, make)
        return make(tag, (name, inner)), at

    return read


def _members(count: int, content: bytes, at: int, depth: int, make: Make) -> tuple[list[Any], int]:
    if count > len(content) - at:
        raise CodecError("more members than bytes")
    members = []
    for _ in range(count):
        member, at = _read(content, at, depth - 1, make)
        members.append(member)
    return members, at


def _read_sequence(tag: str) -> Reader:
    def read(content: bytes, at: int, depth: int, make: Make) -> tuple[Any, int]:
        (size,) = _unpack(HEADER, content, at)
        members, end = _members(size, content, at + HEADER.size, depth, make)
        return make(tag, tuple(members)), end

    return read


def _read_dict(content: bytes, at: int, depth: int, make: Make) -> tuple[Any, int]:
    (size,) = _unpack(HEADER, content, at)
    members, end = _members(2 * size, content, at + HEADER.size, depth, make)
    return make("m", tuple(zip(members[::2], members[1::2], strict=True))), end


_READERS: dict[bytes, Reader] = {
    b"N": _flat("N", None),
    b"T": _flat("T", True),
    b"F": _flat("F", False),
    b"i": _read_int,
    b"d": _read_double,
    b"c": _read_complex,
    b"s": _read_text("s"),
    b"b": _read_bytes,
    b"m": _read_dict,
    b"L": _read_named("L"),
    b"P": _read_named("P"),
    b"O": _read_text("O"),
    **{tag.encode(): _read_sequence(tag) for tag in "ltSZ"},
}
