"""Content-addressed storage of rows and checkpoints under one fsspec root; see
`docs/formats.md`.
"""

from roundsmith.store.folders import FolderRef
from roundsmith.store.kinds import (
    DROPPED,
    EVALS,
    EXAMPLES,
    GROUPS,
    KINDS,
    PAIRS,
    RESULTS,
    TASKS,
    RowKind,
)
from roundsmith.store.manifest import (
    BITWISE,
    DISTRIBUTION,
    Manifest,
    ObjectRef,
    shard_step,
    step_key,
)
from roundsmith.store.parquet import read_file, write_file
from roundsmith.store.records import DroppedRow, EvalRecord, TaskResult
from roundsmith.store.store import Store

__all__ = [
    "BITWISE",
    "DISTRIBUTION",
    "DROPPED",
    "EVALS",
    "EXAMPLES",
    "GROUPS",
    "KINDS",
    "PAIRS",
    "RESULTS",
    "TASKS",
    "DroppedRow",
    "EvalRecord",
    "FolderRef",
    "Manifest",
    "ObjectRef",
    "RowKind",
    "Store",
    "TaskResult",
    "read_file",
    "shard_step",
    "step_key",
    "write_file",
]
