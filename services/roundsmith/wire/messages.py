"""Values to proto messages and back, for all types at once.

A dataclass and its message have the same name and the same field names, so one converter reads
both; only what Python and proto say differently is spelled out: enums (prefixes), seconds (`cpu_s`
is a Duration `cpu`), the three unions (Test, Prompt, Row) and Python values. `Any` lives here
because descriptors are dynamic.
"""

import dataclasses
import functools
import itertools
import operator
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING
from enum import StrEnum
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from roundsmith import types as values
from roundsmith.errors import ConfigError
from roundsmith.types import ChatMessage, Prompt, Test
from roundsmith.types.filled import filled
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
    ALWAYS,
    AS_IT_IS,
    CELL,
    SECONDS,
    VALUE,
    Codec,
    Column,
    each,
    enum_codec,
    map_reader,
    map_writer,
    of_each,
    repeated_reader,
    repeated_writer,
    set_all,
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


def to_message(value: Any) -> Any:
    """The message of a dataclass of `roundsmith.types` (or of a Test, Prompt or Row).

    Raises ConfigError when a Python value inside it can not cross the wire.
    """
    message: Any = None
    if isinstance(value, _TESTS):
        _fill_test(value, message := task_pb2.Test())
    elif isinstance(value, (str, tuple)):
        _fill_prompt(value, message := prompt_pb2.Prompt())
    else:
        _fill([value], [message := _message_class(type(value))()])
    return message


def add_messages(values: Column, field: Any) -> None:
    """Appends the messages of values of one dataclass to a repeated field."""
    _fill(values, [field.add() for _ in values])


def fill_parts(values: Column, messages: Column) -> None:
    """Writes dataclasses of one type into parts of other messages, which are there then even when
    they hold nothing but zeros.
    """
    for message in messages:
        message.SetInParent()
    _fill(values, messages)


def from_message(cls: type[T], message: Message) -> T:
    """The dataclass `cls` of a message; absent fields take the dataclass's defaults. Raises
    ConfigError when one without a default is absent.
    """
    if cls in _TESTS:
        raise TypeError("a test's id is on its Test message: use test_from_message")
    return from_messages(cls, [message])[0]


def from_messages(cls: type[T], messages: Sequence[Message]) -> list[T]:
    """The same of many messages, a field of all of them at a time."""
    return filled(cls, len(messages), _read(cls, list(messages)))


def test_from_message(message: task_pb2.Test) -> Test:
    """The test in a Test message; raises ConfigError when it holds none."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ConfigError(
            f"test {message.test_id!r}: expected one of {list(_TEST_KINDS)}, saw none"
        )
    cls, inner = _TEST_KINDS[kind], getattr(message, kind)
    own = message.HasField("limits")
    limits = from_message(values.OwnLimits, message.limits) if own else None
    found = (column[0] for column in _read(cls, [inner]))
    return cast(Test, cls(message.test_id, *found, limits=limits))


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


class _Field(typing.NamedTuple):
    """One field of a dataclass. `write` puts it into messages; without it, it is only set."""

    name: str
    wire_name: str
    """Empty where several fields of the message, and so the message itself, are the value."""
    pack: Callable[[Any], Any] | None = None
    write: Callable[[Column, Column], None] | None = None
    unpack: Callable[[Column], Column] | None = None
    optional: bool = False
    """Whether a message may lack it; then it is the default."""
    default: Any = MISSING
    unset: Any = None
    """What it reads as where it is not set, if that is told by `==`."""
    told: bool = False
    """Whether it is a property, which is written for other clients and not read."""


def _fill(values: Column, messages: Column) -> None:
    for field in _plan(type(values[0])) if values else ():
        column = list(map(operator.attrgetter(field.name), values))
        if field.write is not None:
            field.write(column, messages)
        elif field.unset is None or column.count(field.unset) < len(column):
            set_all(field.wire_name, field.pack, column, messages)


def _read(cls: type, messages: Column) -> Iterator[Column]:
    """The columns of the dataclass's fields."""
    for field in (field for field in _plan(cls) if not field.told):
        there = messages
        if field.optional:
            present = [message.HasField(field.wire_name) for message in messages]
            there = list(itertools.compress(messages, present))
        at = operator.attrgetter(field.wire_name) if field.wire_name else None
        column = there if at is None else list(map(at, there))
        found = column if field.unpack is None else field.unpack(column)
        yield found if len(there) == len(messages) else _spread(field, cls, found, present)


def _spread(field: _Field, cls: type, found: Column, present: Sequence[bool]) -> Column:
    """The values that are there, and the default where there is none."""
    if field.default is MISSING:
        raise ConfigError(f"{cls.__name__}: expected {field.name}, saw none: give it")
    values = iter(found)
    return [next(values) if there else field.default for there in present]


def _find_message_class(cls: type) -> Any:
    for module in _MODULES:
        if found := getattr(module, cls.__name__, None):
            return found
    raise TypeError(f"{cls.__name__} has no message")


_message_class: Callable[[type], Any] = functools.cache(_find_message_class)


def _fill_test(test: Any, message: task_pb2.Test) -> None:
    kind = next(name for name, cls in _TEST_KINDS.items() if isinstance(test, cls))
    message.test_id = test.test_id
    fill_parts([test], [getattr(message, kind)])
    if test.limits is not None:
        fill_parts([test.limits], [message.limits])


def _fill_prompt(prompt: Any, message: prompt_pb2.Prompt) -> None:
    if isinstance(prompt, str):
        message.text = prompt
    elif prompt and isinstance(prompt[0], ChatMessage):
        _fill(prompt, [message.chat.messages.add() for _ in prompt])
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


def _make_plan(cls: type) -> tuple[_Field, ...]:
    hints, descriptor = typing.get_type_hints(cls), _message_class(cls).DESCRIPTOR
    outside = _ON_THE_TEST if cls in _TESTS else frozenset[str]()
    own = [field for field in dataclasses.fields(cls) if field.name not in outside]
    known = tuple(_field(field, hints[field.name], descriptor) for field in own)
    return (*known, _label(descriptor)) if cls is values.Outcome else known


_plan: Callable[[type], tuple[_Field, ...]] = functools.cache(_make_plan)


def _field(field: "dataclasses.Field[Any]", hint: Any, descriptor: Any) -> _Field:
    known, name = descriptor.fields_by_name, field.name
    fd = known.get(name) or known.get(name.removesuffix("_s"))
    if fd is None:  # ScoreItem.completion, a oneof of text and tokens
        write, unpack = each(_fill_completion), of_each(_read_completion)
        return _Field(name, "", write=write, unpack=unpack)
    wire_name, arguments = fd.name, typing.get_args(hint)
    if typing.get_origin(hint) is Mapping:
        codec = _codec(arguments[1], fd.message_type.fields_by_name["value"])
        write, unpack = map_writer(wire_name, codec), map_reader(codec)
        return _Field(name, wire_name, write=write, unpack=unpack)
    if fd.is_repeated:
        codec = CELL if name == "cells" else _codec(arguments[0], fd)
        write, unpack = repeated_writer(wire_name, codec), repeated_reader(codec)
        return _Field(name, wire_name, write=write, unpack=unpack)
    codec = _codec(hint, fd)
    if not fd.has_presence:
        unset = hint() if hint in (str, int, bool) else None
        return _Field(name, wire_name, codec.pack, unpack=codec.unpack, unset=unset)
    # A time that is zero where none is told, as an outcome's, need not be told.
    absent = 0.0 if codec is SECONDS and field.default == 0 else None
    write = single_writer(wire_name, codec, ALWAYS if codec is VALUE else absent)
    return _Field(name, wire_name, None, write, codec.unpack, True, field.default)


def _label(descriptor: Any) -> _Field:
    """A property of Outcome that its message carries for other clients."""
    codec = enum_codec(Label, descriptor.fields_by_name["label"].enum_type)
    return _Field("label", "label", codec.pack, told=True)


def _codec(hint: Any, fd: Any) -> Codec:
    """How values of a type become what the field holds, and back."""
    if hint is Any:
        return VALUE
    if hint == Prompt:
        return Codec(fill=each(_fill_prompt), unpack=of_each(prompt_from_message))
    if hint == Test:
        return Codec(fill=each(_fill_test), unpack=of_each(test_from_message))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):  # X | None: absence is None
        return _codec(next(a for a in typing.get_args(hint) if a is not type(None)), fd)
    if issubclass(hint, StrEnum):
        return enum_codec(hint, fd.enum_type)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return Codec(fill=fill_parts, unpack=functools.partial(from_messages, hint))
    return SECONDS if fd.message_type is not None else AS_IT_IS
