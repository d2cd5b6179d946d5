"""Schemas in the words of `docs/formats.md`: one (column, type) list for each named type."""

from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

from roundsmith.store import KINDS, schemas

PROMPT_MESSAGE = schemas.PROMPT.field("messages").type.value_type
STRUCTS: dict[str, Any] = {
    "call": schemas.TEST.field("call").type,
    "stdio": schemas.TEST.field("stdio").type,
    "limits": schemas.LIMITS,
    "test": schemas.TEST,
    "message": PROMPT_MESSAGE,
    "prompt": schemas.PROMPT,
    "sampling": schemas.SAMPLING,
    "provenance": schemas.PROVENANCE,
    "sample": schemas.SAMPLE,
    "outcome": schemas.OUTCOME,
    "score": schemas.SCORE,
    "task": pa.struct(list(schemas.TASK_SCHEMA)),
}
PLAIN = {pa.string(): "text", pa.int64(): "int", pa.float64(): "real", pa.bool_(): "bool"}

Columns = list[tuple[str, str]]


def type_name(kind: Any) -> str:
    """A type in the doc's words; raises KeyError for one that has none."""
    if kind in PLAIN:
        return PLAIN[kind]
    if pa.types.is_map(kind):
        return f"map of {type_name(kind.key_type)} to {type_name(kind.item_type)}"
    if pa.types.is_list(kind):
        assert not kind.value_field.nullable
        return f"list of {type_name(kind.value_type)}"
    return {struct: name for name, struct in STRUCTS.items()}[kind]


def columns(fields: Any) -> Columns:
    """Names and types, ` or null` where a column may be empty."""
    return [(f.name, type_name(f.type) + " or null" * f.nullable) for f in fields]


def described() -> dict[str, Columns]:
    """Every named type: the structs, then the kinds of row, `task` being both."""
    structs = {
        name: columns([kind.field(i) for i in range(kind.num_fields)])
        for name, kind in STRUCTS.items()
    }
    return structs | {kind.name: columns(kind.schema) for kind in KINDS.values()}


def with_nested(name: str) -> dict[str, Columns]:
    """The columns of a named type and of every type inside it."""
    every = described()
    found, waiting = {}, [name]
    while waiting:
        name = waiting.pop()
        found[name] = every[name]
        words = {word for _, kind in every[name] for word in kind.split()}
        waiting += sorted(words & set(every) - set(found))
    return found
