"""The seven kinds of row, each with its Parquet schema, schema version and codec."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

from roundsmith.store import codecs, schemas
from roundsmith.store.records import DroppedRow, EvalRecord, TaskResult
from roundsmith.types import Example, Group, Pair, Task

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class RowKind(Generic[RowT]):
    """How one type of row is stored. `rows_per_group` bounds what a reader or writer holds in
    memory.
    """

    name: str
    version: int
    schema: pa.Schema
    row: type[RowT]
    encode: Callable[[RowT], dict[str, Any]]
    rows_per_group: int = 1024
    still_read: tuple[int, ...] = ()
    """Earlier versions, whose rows lack only what has a default."""

    def hash_of(self, rows: Iterable[RowT]) -> str:
        """The sha256 of what is stored of these rows, as canonical JSON: the same rows have the
        same, whatever file they came from.
        """
        columns = [self.name, self.version, [self.encode(row) for row in rows]]
        text = json.dumps(columns, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


TASKS: RowKind[Task] = RowKind("task", 2, schemas.TASK_SCHEMA, Task, codecs.task_columns)
# A group holds all samples of a task, so that fewer of them fill the same memory.
GROUPS: RowKind[Group] = RowKind(
    "group", 4, schemas.GROUP_SCHEMA, Group, codecs.group_columns, 64, still_read=(3,)
)
EXAMPLES: RowKind[Example] = RowKind(
    "example", 2, schemas.EXAMPLE_SCHEMA, Example, codecs.example_columns
)
PAIRS: RowKind[Pair] = RowKind("pair", 2, schemas.PAIR_SCHEMA, Pair, codecs.pair_columns)
EVALS: RowKind[EvalRecord] = RowKind(
    "eval", 3, schemas.EVAL_SCHEMA, EvalRecord, codecs.eval_columns, still_read=(2,)
)
RESULTS: RowKind[TaskResult] = RowKind(
    "result", 1, schemas.RESULT_SCHEMA, TaskResult, codecs.result_columns
)
DROPPED: RowKind[DroppedRow] = RowKind(
    "dropped", 1, schemas.DROPPED_SCHEMA, DroppedRow, codecs.dropped_columns
)
KINDS: dict[str, RowKind[Any]] = {
    kind.name: kind for kind in (TASKS, GROUPS, EXAMPLES, PAIRS, EVALS, RESULTS, DROPPED)
}
