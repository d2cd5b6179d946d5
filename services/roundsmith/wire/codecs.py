"""One field of many messages: how what it holds becomes a column of Python values, and back."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import Any, NamedTuple

from roundsmith.errors import ConfigError
from roundsmith.v1 import executor_pb2
from roundsmith.verdicts import Verdict
from roundsmith.wire.python_value import value_from_message, value_to_message

Column = Sequence[Any]


class Codec(NamedTuple):
    """A column of values to the wire and back. `fill` writes each into the message that its field
    holds, and always writes something, so that the field is there; a field that holds no message is
    set to it, as `pack` makes it. None leaves it as it is.
    """

    pack: Callable[[Any], Any] | None = None
    """One value, not a column."""
    fill: Callable[[Column, Column], None] | None = None
    unpack: Callable[[Column], Column] | None = None


def each(fill: Callable[[Any, Any], None]) -> Callable[[Column, Column], None]:
    """Fills a column by filling each."""

    def fill_all(values: Column, messages: Column) -> None:
        for value, message in zip(values, messages, strict=True):
            fill(value, message)

    return fill_all


def of_each(unpack: Callable[[Any], Any]) -> Callable[[Column], Column]:
    """Reads a column by reading each."""
    return lambda found: list(map(unpack, found))


def _fill_seconds(values: Column, messages: Column) -> None:
    """Writes Durations, which are there then even when they are zero."""
    for seconds, message in zip(values, messages, strict=True):
        nanos = round(seconds * 1e9) if seconds else 0
        if not 0 <= nanos < 10**9:
            message.seconds, nanos = divmod(nanos, 10**9)
        message.nanos = nanos


def _fill_value(value: Any, message: Any) -> None:
    message.CopyFrom(value_to_message(value))


def _fill_cell(cell: tuple[str, str], message: executor_pb2.Cell) -> None:
    message.code_id, message.test_id = cell


AS_IT_IS = Codec()
SECONDS = Codec(
    fill=_fill_seconds,
    unpack=of_each(lambda d: (d.seconds * 10**9 + d.nanos) / 1e9),
)
VALUE = Codec(fill=each(_fill_value), unpack=of_each(value_from_message))
CELL = Codec(fill=each(_fill_cell), unpack=of_each(lambda cell: (cell.code_id, cell.test_id)))


def enum_codec(enum: type[StrEnum], descriptor: Any) -> Codec:
    """By name without the prefix, 0 for a member that has none on the wire; what this client does
    not know is UNKNOWN where there is one.
    """
    prefix = descriptor.values_by_number[0].name.removesuffix("UNSPECIFIED")
    by_member = {m: descriptor.values_by_name.get(prefix + m.name) for m in enum}
    numbers = {m: v.number if v else 0 for m, v in by_member.items()}

    class Members(dict[int, StrEnum]):
        def __missing__(self, number: int) -> StrEnum:
            if enum is Verdict:
                return Verdict.UNKNOWN
            raise ConfigError(f"{prefix}: expected one of {[m.name for m in enum]}, saw {number}")

    members = Members({number: m for m, number in numbers.items() if number})
    return Codec(pack=numbers.__getitem__, unpack=of_each(members.__getitem__))


def repeated_writer(name: str, codec: Codec) -> Callable[[Column, Column], None]:
    """Writes tuples into a repeated field."""
    pack, fill, at = codec.pack, codec.fill, attrgetter(name)

    def write(tuples: Column, messages: Column) -> None:
        both = zip(tuples, messages, strict=True)
        given = [(found, at(message)) for found, message in both if found]
        if fill is None:
            for found, place in given:
                place.extend(found if pack is None else map(pack, found))
            return
        places = [place.add() for found, place in given for _ in repeat(None, len(found))]
        fill(list(chain.from_iterable(tuples)), places)

    return write


def repeated_reader(codec: Codec) -> Callable[[Column], Column]:
    """Reads repeated fields as tuples."""
    unpack = codec.unpack
    if unpack is None:
        return of_each(tuple)

    def read(fields: Column) -> Column:
        members = iter(unpack(list(chain.from_iterable(fields))))
        return [tuple(islice(members, len(field))) for field in fields]

    return read


def map_writer(name: str, codec: Codec) -> Callable[[Column, Column], None]:
    """Writes mappings into a map field."""
    fill, at = codec.fill, attrgetter(name)

    def write(mappings: Column, messages: Column) -> None:
        places = list(map(at, messages))
        if fill is None:
            for found, place in zip(mappings, places, strict=True):
                place.update(found)
            return
        parts = [place[key] for found, place in zip(mappings, places, strict=True) for key in found]
        fill([one for found in mappings for one in found.values()], parts)

    return write


def map_reader(codec: Codec) -> Callable[[Column], Column]:
    """Reads map fields as dicts in the order of their keys."""
    unpack = codec.unpack or (lambda found: found)

    def read(fields: Column) -> Column:
        keys = list(map(sorted, fields))
        members = iter(unpack([f[key] for f, its in zip(fields, keys, strict=True) for key in its]))
        return [dict(zip(its, members, strict=False)) for its in keys]

    return read


ALWAYS = object()


def single_writer(name: str, codec: Codec, absent: object) -> Callable[[Column, Column], None]:
    """Writes values into a field that has presence; what equals `absent` leaves it out."""
    pack, fill, at = codec.pack, codec.fill, attrgetter(name)

    def write(values: Column, messages: Column) -> None:
        if absent is not ALWAYS and absent in values:
            there = [p for p, value in enumerate(values) if value is not absent and value != absent]
            values, messages = [values[p] for p in there], [messages[p] for p in there]
        if fill is None:
            set_all(name, pack, values, messages)
        else:
            fill(values, list(map(at, messages)))

    return write


def set_all(
    name: str, pack: Callable[[Any], Any] | None, values: Iterable[Any], messages: Column
) -> None:
    """Sets a field of every message."""
    packed = values if pack is None else map(pack, values)
    for message, value in zip(messages, packed, strict=True):
        setattr(message, name, value)
