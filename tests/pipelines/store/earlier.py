"""Kinds of row as earlier versions wrote them."""

from dataclasses import replace

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

from roundsmith.store import EVALS, GROUPS, EvalRecord, RowKind
from roundsmith.types import Group


def of_version_2() -> RowKind[EvalRecord]:
    """Rows of an evaluation that tell no seed, weights, tier or image."""
    later = ("seed", "weights_sha256", "tier", "image")
    schema = pa.schema([field for field in EVALS.schema if field.name not in later])
    return replace(EVALS, version=2, schema=schema, still_read=())


def groups_of_version_3() -> RowKind[Group]:
    """Groups whose scores do not tell how many tokens their prompts have."""
    scores = GROUPS.schema.field("scores")
    item = scores.type.value_field
    kept = pa.struct([field for field in item.type if field.name != "prompt_tokens"])
    scores = scores.with_type(pa.list_(item.with_type(kept)))
    schema = GROUPS.schema.set(GROUPS.schema.get_field_index("scores"), scores)
    return replace(GROUPS, version=3, schema=schema, still_read=())
