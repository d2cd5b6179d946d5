"""Values to proto messages and back, for all types at once.

A dataclass and its message have the same name and the same field names, so one converter reads
both; only what Python and proto say differently is spelled out: enums (prefixes), seconds (`cpu_s`
is a Duration `cpu`), the three unions (Test, Prompt, Row) and Python values. `Any` lives here
because descriptors are dynamic.
"""

import dataclasses
import functools
import operator
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from enum import StrEnum
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from roundsmith import types as values
from roundsmith.errors import ConfigError
from roundsmith.types import ChatMessage, Prompt, Test
from roundsmith.v1 import (
    executor_pb2,
    generator_pb2,
    pair_builder_pb2,
    prompt_pb2,
    scorer_pb2,
    task_pb2,
)
from roundsmith.verdicts import Label
from roundsmith.wire.codecs import (
    AS_IT_IS,
    CELL,
    SECONDS,
    VALUE,
    Codec,
    enum_codec,
    map_reader,
    map_writer,
    repeated_reader,
    repeated_writer,
    single_writer,
)

T = TypeVar("T")

_MODULES = (executor_pb2, generator_pb2, pair_builder_pb2, prompt_pb2, scorer_pb2, task_pb2)
_TEST_KINDS = {
    "call": values.CallTest,
    "assert": values.AssertTest,
    "unittest": values.UnittestTest,
    "stdio": values.StdioTest,
}
_TESTS = tuple(_TEST_KINDS.values())
_ON_THE_TEST = frozenset({"test_id", "limits"})
"""Fields of every kind of test that are on the Test message around it."""
_ROW_KINDS = {"example": values.Example, "pair": values.Pair}


def to_message(value: Any) -> Any:
    """The message of a dataclass of `roundsmith.types` (or of a Test, Prompt or Row).

    Raises ConfigError when a Python value inside it can not cross the wire.
    """
    if isinstance(value, _TESTS):
        return _filled(task_pb2.Test(), _fill_test, value)
    if isinstance(value, (str, tuple)):
        return _filled(prompt_pb2.Prompt(), _fill_prompt, value)
    return _filled(_message_class(type(value))(), _fill, value)


def from_message(cls: type[T], message: Message) -> T:
    """The dataclass `cls` of a message; absent fields take the dataclass's defaults. Raises
    ConfigError when one without a default is absent.
    """
    if cls in _TESTS:
        raise TypeError("a test's id is on its Test message: use test_from_message")
    return cls(*_read(cls, message))


def test_from_message(message: task_pb2.Test) -> Test:
    """The test in a Test message; raises ConfigError when it holds none."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ConfigError(
            f"test {message.test_id!r}: expected one of {list(_TEST_KINDS)}, saw none"
        )
    cls, inner = _TEST_KINDS[kind], getattr(message, kind)
    limits = _OWN_LIMITS(message.limits) if message.HasField("limits") else None
    return cast(Test, cls(message.test_id, *_read(cls, inner), limits=limits))


def prompt_from_message(message: prompt_pb2.Prompt) -> Prompt:
    """The prompt in a Prompt message; raises ConfigError when it holds none."""
    match message.WhichOneof("kind"):
        case "text":
            return message.text
        case "tokens":
            return tuple(message.tokens.ids)
        case "chat":
            return tuple(ChatMessage(m.role, m.content) for m in message.chat.messages)
    raise ConfigError("prompt: expected text, tokens or chat, saw none of them")


def row_to_message(row: values.Row) -> pair_builder_pb2.Row:
    """The Row message of an example or a pair."""
    name = "example" if isinstance(row, values.Example) else "pair"
    return pair_builder_pb2.Row(**{name: to_message(row)})


def row_from_message(message: pair_builder_pb2.Row) -> values.Row:
    """The example or pair in a Row message."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ConfigError("row: expected an example or a pair, saw neither")
    return cast(values.Row, from_message(_ROW_KINDS[kind], getattr(message, kind)))


class _Field(typing.NamedTuple):
    """One field of a dataclass. `write` puts it into a message; without it, it is only set."""

    name: str
    wire_name: str
    """Empty where several fields of the message, and so the message itself, are the value."""
    pack: Callable[[Any], Any] | None = None
    write: Callable[[Any, Any], None] | None = None
    unpack: Callable[[Any], Any] | None = None
    optional: bool = False
    """Whether a message may lack it; then it is the default."""
    default: Any = MISSING


class _Plan(typing.NamedTuple):
    """How a dataclass and its message become each other, with few steps in Python for a field."""

    values: Callable[[Any], Sequence[Any]]
    """What is only set, all at once."""
    setters: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    """The name on the wire and `pack` of each of those."""
    writers: tuple[tuple[str, Callable[[Any, Any], None]], ...]
    read: Callable[[Any], Sequence[Any]]
    """All fields of a message, in the dataclass's order."""
    unpacks: tuple[tuple[int, Callable[[Any], Any]], ...]
    """By place, what reads a field that is always there into another value."""
    optional: tuple[tuple[int, _Field], ...]


def _filled(message: Any, fill: Callable[[Any, Any], None], value: Any) -> Any:
    fill(value, message)
    return message


def _fill(value: Any, message: Any) -> None:
    plan = _plan(type(value))
    for (wire_name, pack), found in zip(plan.setters, plan.values(value), strict=True):
        setattr(message, wire_name, found if pack is None else pack(found))
    for name, write in plan.writers:
        write(getattr(value, name), message)


def _read(cls: type, message: Any) -> list[Any]:
    plan = _plan(cls)
    found = list(plan.read(message))
    for place, unpack in plan.unpacks:
        found[place] = unpack(found[place])
    for place, field in plan.optional:
        if not message.HasField(field.wire_name):
            found[place] = _absent(field, cls)
        elif field.unpack is not None:
            found[place] = field.unpack(found[place])
    return found


def _absent(field: _Field, cls: type) -> Any:
    if field.default is MISSING:
        raise ConfigError(f"{cls.__name__}: expected {field.name}, saw none: give it")
    return field.default


def _find_message_class(cls: type) -> Any:
    for module in _MODULES:
        if found := getattr(module, cls.__name__, None):
            return found
    raise TypeError(f"{cls.__name__} has no message")


_message_class: Callable[[type], Any] = functools.cache(_find_message_class)


def _fill_test(test: Any, message: task_pb2.Test) -> None:
    kind = next(name for name, cls in _TEST_KINDS.items() if isinstance(test, cls))
    message.test_id = test.test_id
    getattr(message, kind).SetInParent()
    _fill(test, getattr(message, kind))
    if test.limits is not None:
        _fill_part(test.limits, message.limits)


def _fill_part(value: Any, message: Any) -> None:
    message.SetInParent()
    _fill(value, message)


def _fill_prompt(prompt: Any, message: prompt_pb2.Prompt) -> None:
    if isinstance(prompt, str):
        message.text = prompt
    elif prompt and isinstance(prompt[0], ChatMessage):
        for turn in prompt:
            _fill(turn, message.chat.messages.add())
    else:
        message.tokens.SetInParent()
        message.tokens.ids.extend(prompt)


def _fill_completion(completion: Any, message: scorer_pb2.ScoreItem) -> None:
    if isinstance(completion, str):
        message.text = completion
    else:
        message.tokens.SetInParent()
        message.tokens.ids.extend(completion)


def _read_completion(message: scorer_pb2.ScoreItem) -> str | tuple[int, ...]:
    if message.WhichOneof("completion") == "tokens":
        return tuple(message.tokens.ids)
    return message.text


def _make_plan(cls: type) -> _Plan:
    hints, descriptor = typing.get_type_hints(cls), _message_class(cls).DESCRIPTOR
    outside = _ON_THE_TEST if cls in _TESTS else frozenset[str]()
    own = [field for field in dataclasses.fields(cls) if field.name not in outside]
    read = [_field(field, hints[field.name], descriptor) for field in own]
    written = [*read, _label(descriptor)] if cls is values.Outcome else read
    bare = [field for field in written if field.write is None]
    return _Plan(
        values=_reader([field.name for field in bare]),
        setters=tuple((field.wire_name, field.pack) for field in bare),
        writers=tuple((field.name, field.write) for field in written if field.write),
        read=_reader([field.wire_name for field in read]),
        unpacks=tuple((i, f.unpack) for i, f in enumerate(read) if f.unpack and not f.optional),
        optional=tuple((i, f) for i, f in enumerate(read) if f.optional),
    )


_OWN_LIMITS: Callable[[Any], values.OwnLimits] = functools.partial(from_message, values.OwnLimits)
_plan: Callable[[type], _Plan] = functools.cache(_make_plan)


def _reader(names: list[str]) -> Callable[[Any], Sequence[Any]]:
    """Reads these attributes; an empty name is the thing itself."""
    if len(names) > 1 and all(names):
        return operator.attrgetter(*names)
    return lambda thing: [getattr(thing, name) if name else thing for name in names]


def _field(field: "dataclasses.Field[Any]", hint: Any, descriptor: Any) -> _Field:
    known, name = descriptor.fields_by_name, field.name
    fd = known.get(name) or known.get(name.removesuffix("_s"))
    if fd is None:  # ScoreItem.completion, a oneof of text and tokens
        return _Field(name, "", write=_fill_completion, unpack=_read_completion)
    wire_name, arguments = fd.name, typing.get_args(hint)
    if typing.get_origin(hint) is Mapping:
        codec = _codec(arguments[1], fd.message_type.fields_by_name["value"])
        write, unpack = map_writer(wire_name, codec), map_reader(codec)
        return _Field(name, wire_name, write=write, unpack=unpack)
    if fd.is_repeated:
        codec = CELL if name == "cells" else _codec(arguments[0], fd)
        write, read = repeated_writer(wire_name, codec), repeated_reader(codec)
        return _Field(name, wire_name, write=write, unpack=read)
    codec = _codec(hint, fd)
    if not fd.has_presence:
        return _Field(name, wire_name, codec.pack, unpack=codec.unpack)
    write = single_writer(wire_name, codec, nullable=codec is not VALUE)
    return _Field(name, wire_name, None, write, codec.unpack, True, field.default)


def _label(descriptor: Any) -> _Field:
    """A property of Outcome that its message carries for other clients."""
    codec = enum_codec(Label, descriptor.fields_by_name["label"].enum_type)
    return _Field("label", "label", codec.pack)


def _codec(hint: Any, fd: Any) -> Codec:
    """How one value of a type becomes what the field holds, and back."""
    if hint is Any:
        return VALUE
    if hint == Prompt:
        return Codec(fill=_fill_prompt, unpack=prompt_from_message)
    if hint == Test:
        return Codec(fill=_fill_test, unpack=test_from_message)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):  # X | None: absence is None
        return _codec(next(a for a in typing.get_args(hint) if a is not type(None)), fd)
    if issubclass(hint, StrEnum):
        return enum_codec(hint, fd.enum_type)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return Codec(fill=_fill_part, unpack=functools.partial(from_message, hint))
    return SECONDS if fd.message_type is not None else AS_IT_IS
