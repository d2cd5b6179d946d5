"""Python values as JSON text that keeps their exact types.

JSON's own null, booleans, strings and arrays stand for None, bool, str and list; every other type
is an object with one key, its tag. Equal sets give equal text; dicts keep their order.
"""

import json
import math
from collections.abc import Callable, Iterable

from roundsmith.errors import StoreError
from roundsmith.types import Value

MAX_DEPTH = 100
_NO_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def value_text(value: Value) -> str:
    """The JSON text of a value. Raises StoreError for a type that cannot cross the wire, or nesting
    over 100.
    """
    return _dump(_tagged(value, 0))


def text_value(text: str) -> Value:
    """The value that `value_text` wrote."""
    return _plain(json.loads(text))


# One for all: `json.dumps` makes another for each value.
_dump = json.JSONEncoder(separators=(",", ":")).encode


def _tagged(value: Value, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise StoreError(
            f"expected a value nested at most {MAX_DEPTH} deep, saw a deeper one: leave its test "
            "out"
        )

    def items(members: Iterable[Value]) -> list[object]:
        return [_tagged(member, depth + 1) for member in members]

    match value:
        case None | bool() | str() if type(value) in (type(None), bool, str):
            return value
        case int() if type(value) is int:
            # Hexadecimal, because CPython refuses to print or parse decimals of more than 4300
            # digits.
            return {"int": hex(value)}
        case float() if type(value) is float:
            return {"float": repr(value)}
        case bytes() if type(value) is bytes:
            return {"bytes": value.hex()}
        case list() if type(value) is list:
            return items(value)
        case tuple() if type(value) is tuple:
            return {"tuple": items(value)}
        case set() | frozenset() if type(value) in (set, frozenset):
            return {type(value).__name__: sorted(items(value), key=_dump)}
        case dict() if type(value) is dict:
            return {"dict": [items(pair) for pair in value.items()]}
    raise StoreError(
        f"expected None, bool, int, float, str, bytes, list, tuple, set, frozenset or dict, saw "
        f"{type(value).__name__}: "
        "leave its test out"
    )


def _plain(tree: object) -> Value:
    if isinstance(tree, list):
        return [_plain(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    ((tag, content),) = tree.items()
    if tag not in _READERS:
        raise StoreError(
            f"expected a value tagged {sorted(_READERS)}, saw {tag!r}: read it with the release "
            "that wrote it"
        )
    return _READERS[tag](content)


_READERS: dict[str, Callable[..., Value]] = {
    "int": lambda text: int(text, 16),
    "float": lambda text: _NO_FLOATS[text] if text in _NO_FLOATS else float(text),
    "bytes": bytes.fromhex,
    "tuple": lambda items: tuple(_plain(item) for item in items),
    "set": lambda items: {_plain(item) for item in items},
    "frozenset": lambda items: frozenset(_plain(item) for item in items),
    "dict": lambda pairs: {_plain(key): _plain(value) for key, value in pairs},
}
