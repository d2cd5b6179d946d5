"""Values to proto messages and back, for all types at once.

A dataclass and its message have the same name and the same field names, so one converter reads
both; only what Python and proto say differently is spelled out: enums (prefixes), seconds (`cpu_s`
is a Duration `cpu`), the three unions (Test, Prompt, Row) and Python values. `Any` lives here
because descriptors are dynamic.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar, cast

from google.protobuf.duration_pb2 import Duration
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
from roundsmith.verdicts import Verdict
from roundsmith.wire.python_value import value_from_message, value_to_message

T = TypeVar("T")

_MODULES = (executor_pb2, generator_pb2, pair_builder_pb2, prompt_pb2, scorer_pb2, task_pb2)
_TEST_KINDS = {"call": values.CallTest, "assert": values.AssertTest, "stdio": values.StdioTest}
_ROW_KINDS = {"example": values.Example, "pair": values.Pair}


def to_message(value: Any) -> Any:
    """The message of a dataclass of `roundsmith.types` (or of a Test, Prompt or Row).

    Raises ConfigError when a Python value inside it can not cross the wire.
    """
    if isinstance(value, (values.CallTest, values.AssertTest, values.StdioTest)):
        return _pack_test(value)
    if isinstance(value, (str, tuple)):
        return _pack_prompt(value)
    message = _message_class(type(value))()
    for field in _plan(type(value)):
        field.pack(value, message)
    return message


def from_message(cls: type[T], message: Message) -> T:
    """The dataclass `cls` of a message; absent fields take the dataclass's defaults. Raises
    ConfigError when one without a default is absent.
    """
    if cls in (values.CallTest, values.AssertTest, values.StdioTest):
        raise TypeError("a test's id is on its Test message: use test_from_message")
    found = {f.name: f.unpack(message) for f in _plan(cls) if f.present(message)}
    try:
        return cls(**found)
    except TypeError as error:
        absent = ", ".join(f.name for f in _plan(cls) if f.name not in found)
        raise ConfigError(f"{cls.__name__}: expected {absent}, saw none") from error


def test_from_message(message: task_pb2.Test) -> Test:
    """The test in a Test message; raises ConfigError when it holds none."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ConfigError(
            f"test {message.test_id!r}: expected one of {list(_TEST_KINDS)}, saw none"
        )
    cls, inner = _TEST_KINDS[kind], getattr(message, kind)
    fields = {f.name: f.unpack(inner) for f in _plan(cls) if f.present(inner)}
    return cast(Test, cls(test_id=message.test_id, **fields))


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
    name: str
    pack: Callable[[Any, Any], None]
    unpack: Callable[[Any], Any]
    present: Callable[[Any], bool]


def _find_message_class(cls: type) -> Any:
    for module in _MODULES:
        if found := getattr(module, cls.__name__, None):
            return found
    raise TypeError(f"{cls.__name__} has no message")


def _make_plan(cls: type) -> tuple[_Field, ...]:
    """One converter for each field of a dataclass, and one for each property that its message
    carries.
    """
    hints = typing.get_type_hints(cls)
    descriptor = _message_class(cls).DESCRIPTOR
    known = descriptor.fields_by_name
    plan = [
        _field(f.name, hints[f.name], known.get(f.name) or known.get(f.name.removesuffix("_s")))
        for f in dataclasses.fields(cls)
        if f.name in known or f.name.removesuffix("_s") in known or _oneof(descriptor, f.name)
    ]
    if cls is values.Outcome:
        plan.append(_Field("label", _pack_label, lambda m: None, lambda m: False))
    return tuple(plan)


_message_class: Callable[[type], Any] = functools.cache(_find_message_class)
_plan: Callable[[type], tuple[_Field, ...]] = functools.cache(_make_plan)


def _oneof(descriptor: Any, name: str) -> bool:
    return name in descriptor.oneofs_by_name


def _pack_label(value: values.Outcome, message: Any) -> None:
    message.label = executor_pb2.Label.Value(f"LABEL_{value.label.value}")


def _field(name: str, hint: Any, fd: Any) -> _Field:
    """The converter of one field, chosen by its type hint."""
    if fd is None:  # ScoreItem.completion, a oneof of text and tokens
        return _Field(name, _pack_completion, _unpack_completion, _has_completion)
    wire_name, to_wire, from_wire = fd.name, *_codec(hint, fd)
    repeated = fd.is_repeated

    def pack(value: Any, message: Any) -> None:
        inner = getattr(value, name)
        if inner is None and fd.has_presence and not _is_value(fd):
            return
        converted = to_wire(inner)
        if repeated and isinstance(converted, dict):
            for key, item in converted.items():
                if isinstance(item, Message):
                    getattr(message, wire_name)[key].CopyFrom(item)
                else:
                    getattr(message, wire_name)[key] = item
        elif repeated:
            getattr(message, wire_name).extend(converted)
        elif isinstance(converted, Message):
            getattr(message, wire_name).CopyFrom(converted)
        else:
            setattr(message, wire_name, converted)

    def present(message: Any) -> bool:
        return not fd.has_presence or message.HasField(wire_name)

    return _Field(name, pack, lambda message: from_wire(getattr(message, wire_name)), present)


def _is_value(fd: Any) -> bool:
    return fd.message_type is not None and fd.message_type.name == "Value"


def _codec(hint: Any, fd: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value_to_message, value_from_message
    if hint == Prompt:
        return _pack_prompt, prompt_from_message
    if hint == Test:
        return _pack_test, test_from_message
    if origin in (typing.Union, types.UnionType):  # X | None: absence is None
        return _codec(next(a for a in arguments if a is not type(None)), fd)
    if origin is tuple and fd.name == "cells":
        return (
            lambda cells: [executor_pb2.Cell(code_id=c, test_id=t) for c, t in cells],
            lambda cells: tuple((cell.code_id, cell.test_id) for cell in cells),
        )
    if origin is tuple:
        to_one, from_one = _codec(arguments[0], fd)
        return lambda xs: [to_one(x) for x in xs], lambda xs: tuple(from_one(x) for x in xs)
    if origin is not None and issubclass(origin, Mapping):
        to_one, from_one = _codec(arguments[1], fd.message_type.fields_by_name["value"])
        return (
            lambda m: {k: to_one(m[k]) for k in m},
            lambda m: {k: from_one(m[k]) for k in sorted(m)},
        )
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _enum_codec(hint, fd.enum_type)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return to_message, functools.partial(from_message, hint)
    if hint is float and fd.message_type is not None:
        return _pack_seconds, lambda d: (d.seconds * 10**9 + d.nanos) / 1e9
    return lambda x: x, hint


def _enum_codec(
    enum: type[StrEnum], descriptor: Any
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """By name without the prefix; what this client does not know is UNKNOWN where there is one."""
    prefix = descriptor.values_by_number[0].name.removesuffix("UNSPECIFIED")
    by_member = {m: descriptor.values_by_name.get(prefix + m.name) for m in enum}
    numbers = {m: v.number if v else 0 for m, v in by_member.items()}
    members = {v.number: m for m, v in by_member.items() if v}

    def unpack(number: int) -> StrEnum:
        if number in members:
            return members[number]
        if enum is Verdict:
            return Verdict.UNKNOWN
        raise ConfigError(f"{prefix}: expected one of {[m.name for m in enum]}, saw {number}")

    return numbers.__getitem__, unpack


def _pack_seconds(seconds: float) -> Duration:
    nanos = round(seconds * 1e9)
    return Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)


def _pack_test(test: Test) -> task_pb2.Test:
    kind = next(name for name, cls in _TEST_KINDS.items() if isinstance(test, cls))
    inner = _message_class(type(test))()
    for field in _plan(type(test)):
        field.pack(test, inner)
    return task_pb2.Test(test_id=test.test_id, **{kind: inner})


def _pack_prompt(prompt: Prompt) -> prompt_pb2.Prompt:
    if isinstance(prompt, str):
        return prompt_pb2.Prompt(text=prompt)
    if prompt and isinstance(prompt[0], ChatMessage):
        messages = [to_message(turn) for turn in prompt]
        return prompt_pb2.Prompt(chat=prompt_pb2.Chat(messages=messages))
    return prompt_pb2.Prompt(tokens=_ids(prompt))


def _ids(tokens: Any) -> prompt_pb2.TokenIds:
    return prompt_pb2.TokenIds(ids=tokens)


def _pack_completion(value: values.ScoreItem, message: scorer_pb2.ScoreItem) -> None:
    if isinstance(value.completion, str):
        message.text = value.completion
    else:
        message.tokens.CopyFrom(_ids(value.completion))


def _unpack_completion(message: scorer_pb2.ScoreItem) -> str | tuple[int, ...]:
    if message.WhichOneof("completion") == "tokens":
        return tuple(message.tokens.ids)
    return message.text


def _has_completion(message: scorer_pb2.ScoreItem) -> bool:
    return message.WhichOneof("completion") is not None
