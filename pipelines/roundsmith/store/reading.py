"""Values of Arrow's columns, a column at a time, by the types of the dataclasses that hold them.

Of what a column says again and again, such as a verdict or a prompt, one value is made, which all
share.
"""

import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from itertools import accumulate, pairwise, repeat
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

from roundsmith.store.values import text_value
from roundsmith.types import (
    AssertTest,
    CallTest,
    ChatMessage,
    OutputRule,
    OwnLimits,
    Prompt,
    Score,
    StdioTest,
    Test,
    UnittestTest,
)
from roundsmith.types.filled import filled

Read = Callable[[pa.Array], Sequence[Any]]
"""All values of a column, in order."""


def find_reader(hint: Any) -> Read:
    """What reads a column of such values: of a dataclass, a struct whose fields have the names of
    its own; one that is not there has its default.
    """
    if hint == Prompt:
        return _prompts
    if hint == Test:
        return lambda column: list(map(_test, column.to_pylist()))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):  # X | None
        return _optional(reader(arguments[0]))
    if origin is tuple:
        return _tuples(reader(arguments[0]))
    if origin is Mapping:
        return _scores if arguments[1] is Score else lambda c: list(map(dict, c.to_pylist()))
    if is_dataclass(hint):
        return _records(hint)
    return _words(hint) if issubclass(hint, str) else _numbers


reader: Callable[[Any], Read] = cache(find_reader)


def _numbers(column: pa.Array) -> Sequence[Any]:
    found: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return found


def _words(cls: type[str]) -> Read:
    """Of text and its enums; equal ones become one value."""

    def read(column: pa.Array) -> Sequence[Any]:
        encoded = column.dictionary_encode()
        words = encoded.dictionary.to_pylist()
        if issubclass(cls, StrEnum):
            words = [cls(word) for word in words]
        return list(map(words.__getitem__, _numbers(encoded.indices)))

    return read


def _optional(read: Read) -> Read:
    def whole(column: pa.Array) -> Sequence[Any]:
        if not column.null_count:
            return read(column)
        found = iter(read(column.drop_null()))
        return [next(found) if there else None for there in _numbers(column.is_valid())]

    return whole


def _parts(column: pa.Array) -> Iterable[slice]:
    """Where in all members of a column of lists those of each list are."""
    ends = accumulate(_numbers(column.value_lengths()), initial=0)
    return (slice(begin, end) for begin, end in pairwise(ends))


def _tuples(read: Read) -> Read:
    def whole(column: pa.Array) -> Sequence[Any]:
        members = tuple(read(column.flatten()))
        return [members[part] for part in _parts(column)]

    return whole


def _records(cls: Any) -> Read:
    hints = typing.get_type_hints(cls)
    parts = [(f.name, reader(hints[f.name]), _default(f)) for f in fields(cls)]

    def whole(column: pa.StructArray) -> Sequence[Any]:
        there = {field.name for field in column.type}
        values = (
            read(column.field(name)) if name in there or default is MISSING else repeat(default)
            for name, read, default in parts
        )
        return filled(cls, len(column), values)

    return whole


def _default(field: "Field[Any]") -> Any:
    return field.default if field.default_factory is MISSING else MISSING


def _scores(column: pa.ListArray) -> Sequence[Any]:
    every = column.flatten()
    scores = list(zip(reader(str)(every.field("item_id")), reader(Score)(every), strict=True))
    return [dict(scores[part]) for part in _parts(column)]


def _prompts(column: pa.StructArray) -> Sequence[Any]:
    """Text, tokens or messages, of which one is there."""
    texts, others = (_optional(reader(str))(column.field("text")), ("messages", "tokens"))
    if None not in texts:
        return texts
    messages, tokens = (column.field(name).to_pylist() for name in others)
    return [
        text if text is not None else _listed(said, ids)
        for text, said, ids in zip(texts, messages, tokens, strict=True)
    ]


def _listed(messages: Sequence[Mapping[str, str]] | None, tokens: Sequence[int] | None) -> Prompt:
    if messages is None:
        assert tokens is not None, "a prompt is one of the three"
        return tuple(tokens)
    return tuple(ChatMessage(**message) for message in messages)


def _test(columns: Mapping[str, Any]) -> Test:
    test_id, limits = columns["test_id"], columns["limits"]
    limits = None if limits is None else OwnLimits(**limits)
    if (call := columns["call"]) is not None:
        values = {name: text_value(call[name]) for name in ("args", "kwargs", "expected")}
        return CallTest(test_id, **call | values, limits=limits)
    if columns["source"] is not None:
        return AssertTest(test_id, columns["source"], limits)
    if columns["unittest"] is not None:
        return UnittestTest(test_id, columns["unittest"], limits)
    stdio = columns["stdio"]
    return StdioTest(test_id, **stdio | {"rule": OutputRule(stdio["rule"])}, limits=limits)
