"""One field of a message: how what it holds becomes a Python value, and back."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from roundsmith.errors import ConfigError
from roundsmith.v1 import executor_pb2
from roundsmith.verdicts import Verdict
from roundsmith.wire.python_value import value_from_message, value_to_message


class Codec(NamedTuple):
    """One value to the wire and back. `fill` writes it into the message that the field holds, and
    always writes something, so that the field is there; a field that holds no message is set to it,
    as `pack` makes it. None leaves it as it is.
    """

    pack: Callable[[Any], Any] | None = None
    fill: Callable[[Any, Any], None] | None = None
    unpack: Callable[[Any], Any] | None = None


def fill_seconds(seconds: float, message: Any) -> None:
    """Writes a Duration, which is there then even when it is zero."""
    nanos = round(seconds * 1e9)
    if not 0 <= nanos < 10**9:
        message.seconds, nanos = divmod(nanos, 10**9)
    message.nanos = nanos


def _fill_value(value: Any, message: Any) -> None:
    message.CopyFrom(value_to_message(value))


def _fill_cell(cell: tuple[str, str], message: executor_pb2.Cell) -> None:
    message.code_id, message.test_id = cell


AS_IT_IS = Codec()
SECONDS = Codec(fill=fill_seconds, unpack=lambda d: (d.seconds * 10**9 + d.nanos) / 1e9)
VALUE = Codec(fill=_fill_value, unpack=value_from_message)
CELL = Codec(fill=_fill_cell, unpack=lambda cell: (cell.code_id, cell.test_id))


def enum_numbers(enum: type[StrEnum], descriptor: Any) -> dict[Any, int]:
    """The number of each member on the wire, by its name without the prefix; 0 for one that has
    none.
    """
    prefix = descriptor.values_by_number[0].name.removesuffix("UNSPECIFIED")
    by_member = {m: descriptor.values_by_name.get(prefix + m.name) for m in enum}
    return {m: v.number if v else 0 for m, v in by_member.items()}


def enum_codec(enum: type[StrEnum], descriptor: Any) -> Codec:
    """By name without the prefix; what this client does not know is UNKNOWN where there is one."""
    prefix = descriptor.values_by_number[0].name.removesuffix("UNSPECIFIED")
    numbers = enum_numbers(enum, descriptor)

    class Members(dict[int, StrEnum]):
        def __missing__(self, number: int) -> StrEnum:
            if enum is Verdict:
                return Verdict.UNKNOWN
            raise ConfigError(f"{prefix}: expected one of {[m.name for m in enum]}, saw {number}")

    members = Members({number: m for m, number in numbers.items() if number})
    return Codec(pack=numbers.__getitem__, unpack=members.__getitem__)


def repeated_writer(name: str, codec: Codec) -> Callable[[Any, Any], None]:
    """Writes a tuple into a repeated field."""
    pack, fill = codec.pack, codec.fill

    def write(found: Any, message: Any) -> None:
        if fill is None:
            getattr(message, name).extend(found if pack is None else map(pack, found))
            return
        add = getattr(message, name).add
        for one in found:
            fill(one, add())

    return write


def repeated_reader(codec: Codec) -> Callable[[Any], tuple[Any, ...]]:
    """Reads a repeated field as a tuple."""
    unpack = codec.unpack
    return tuple if unpack is None else lambda found: tuple([unpack(one) for one in found])


def map_writer(name: str, codec: Codec) -> Callable[[Any, Any], None]:
    """Writes a mapping into a map field."""
    fill = codec.fill

    def write(found: Any, message: Any) -> None:
        entries = getattr(message, name)
        for key, one in found.items():
            if fill is None:
                entries[key] = one
            else:
                fill(one, entries[key])

    return write


def map_reader(codec: Codec) -> Callable[[Any], dict[Any, Any]]:
    """Reads a map field as a dict in the order of its keys."""
    unpack = codec.unpack or (lambda one: one)
    return lambda found: {key: unpack(found[key]) for key in sorted(found)}


def single_writer(name: str, codec: Codec, *, nullable: bool) -> Callable[[Any, Any], None]:
    """Writes a value into a field that has presence; where it is `nullable`, None leaves it out."""
    pack, fill = codec.pack, codec.fill

    def write(found: Any, message: Any) -> None:
        if nullable and found is None:
            return
        if fill is None:
            setattr(message, name, found if pack is None else pack(found))
        else:
            fill(found, getattr(message, name))

    return write
