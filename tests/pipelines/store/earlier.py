"""Kinds of row as earlier versions wrote them."""

from dataclasses import replace

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

from roundsmith.store import EVALS, EvalRecord, RowKind


def of_version_2() -> RowKind[EvalRecord]:
    """Rows of an evaluation that tell no seed, weights, tier or image."""
    later = ("seed", "weights_sha256", "tier", "image")
    schema = pa.schema([field for field in EVALS.schema if field.name not in later])
    return replace(EVALS, version=2, schema=schema, still_read=())
