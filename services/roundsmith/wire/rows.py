"""Examples and pairs to one message and back, all of each at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.types import Example, Pair, Row
from roundsmith.v1 import pair_builder_pb2
from roundsmith.wire.messages import fill_parts, from_messages

_KINDS: dict[str, type[Example | Pair]] = {"example": Example, "pair": Pair}


def rows_to_message(rows: Sequence[Row]) -> pair_builder_pb2.RowList:
    """One message of rows, in their order."""
    message = pair_builder_pb2.RowList()
    places = [message.rows.add() for _ in rows]
    for kind, cls in _KINDS.items():
        own = [at for at, row in enumerate(rows) if isinstance(row, cls)]
        fill_parts([rows[at] for at in own], [getattr(places[at], kind) for at in own])
    return message


def rows_from_message(message: pair_builder_pb2.RowList) -> list[Row]:
    """The rows of a message, in their order. Raises ConfigError for one that is of neither kind."""
    places = list(message.rows)
    kinds = [place.WhichOneof("kind") for place in places]
    found: dict[Any, Iterator[Row]] = {}
    for kind, cls in _KINDS.items():
        own = [place for place, its in zip(places, kinds, strict=True) if its == kind]
        found[kind] = iter(from_messages(cls, [getattr(place, kind) for place in own]))
    if None in kinds:
        raise ConfigError("row: expected an example or a pair, saw neither")
    return [next(found[kind]) for kind in kinds]
