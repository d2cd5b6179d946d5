"""Python values to Value messages and back, type for type."""

import sys
from collections.abc import Callable
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.types import Value
from roundsmith.v1 import value_pb2

MAX_VALUE_DEPTH = 24
"""Deepest Python value that crosses the wire; protobuf itself stops at 100 nested messages, 3 a
dict.
"""

_SEQUENCES: dict[str, Callable[[Any], Any]] = {
    "list_value": list,
    "tuple_value": tuple,
    "set_value": set,
    "frozenset_value": frozenset,
}


def value_to_message(value: Value, depth: int = 0) -> value_pb2.Value:
    """The Value message of a Python value, type for type.

    Raises ConfigError for another type, a string with lone surrogates, an int of more digits than
    Python reads, or a depth over MAX_VALUE_DEPTH.
    """
    if depth > MAX_VALUE_DEPTH:
        raise ConfigError(f"value: expected at most {MAX_VALUE_DEPTH} levels, saw more")
    kind = type(value)
    if value is None:
        return value_pb2.Value(none=value_pb2.NoneValue())
    if kind is bool:
        return value_pb2.Value(bool_value=value)
    if kind is int:
        return value_pb2.Value(int_value=_decimal(value))
    if kind is float:
        return value_pb2.Value(double_value=value)
    if kind is bytes:
        return value_pb2.Value(bytes_value=value)
    if kind is str:
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise ConfigError(f"value: expected text without lone surrogates, saw {value!a}")
        return value_pb2.Value(string_value=value)
    if kind is dict:
        pairs = [
            value_pb2.ValuePair(
                key=value_to_message(k, depth + 1), value=value_to_message(v, depth + 1)
            )
            for k, v in value.items()
        ]
        return value_pb2.Value(dict_value=value_pb2.ValueMapping(pairs=pairs))
    name = f"{kind.__name__}_value"
    if name not in _SEQUENCES:
        raise ConfigError(
            "value: expected None, bool, int, float, str, bytes, list, tuple, set, frozenset or "
            f"dict, saw {kind.__name__}"
        )
    members = sorted(value, key=repr) if kind in (set, frozenset) else value
    items = [value_to_message(item, depth + 1) for item in members]
    message = value_pb2.Value()
    getattr(message, name).CopyFrom(value_pb2.ValueSequence(items=items))
    return message


def _decimal(value: int) -> str:
    try:
        return str(value)
    except ValueError as error:
        raise ConfigError(
            f"value: expected an int of at most {sys.get_int_max_str_digits()} decimal digits, "
            f"saw one of {value.bit_length()} bits"
        ) from error


def value_from_message(message: value_pb2.Value) -> Value:
    """The Python value of a Value message; raises ConfigError for a message that is not a value."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ConfigError("value: expected one kind, saw none")
    inner = getattr(message, kind)
    try:
        if kind == "none":
            return None
        if kind == "int_value":
            return int(inner)
        if kind == "dict_value":
            return {value_from_message(p.key): value_from_message(p.value) for p in inner.pairs}
        if kind in _SEQUENCES:
            return _SEQUENCES[kind](value_from_message(item) for item in inner.items)
    except (TypeError, ValueError) as error:  # not an int, or an unhashable member
        raise ConfigError(f"value: expected a valid {kind}, saw {error}") from error
    return inner
