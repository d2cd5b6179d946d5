"""Training rows as a data set that `datasets.load_dataset` opens: plain columns, and a card."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types

from roundsmith.errors import ConfigError
from roundsmith.models.licence import known_licence
from roundsmith.recipes.identities import row_id
from roundsmith.store import EXAMPLES, PAIRS, Manifest, Store
from roundsmith.types import ChatMessage, Example, Row

ROWS_A_FILE, ROWS_A_GROUP = 100_000, 1024
_TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_ABOUT = {
    "task_id": pa.string(),
    "source": pa.string(),
    "licence": pa.string(),
    "model_licence": pa.string(),
    "recipe": pa.string(),
    "round": pa.int64(),
    "weights_sha256": pa.string(),
    "seed": pa.int64(),
    "parents": pa.list_(pa.string()),
    "tier": pa.string(),
    "image": pa.string(),
}
_PROMPT = {"id": pa.string(), "prompt": pa.string(), "messages": _TURNS}
SCHEMAS = {
    EXAMPLES.name: pa.schema([*{**_PROMPT, "completion": pa.string(), **_ABOUT}.items()]),
    PAIRS.name: pa.schema(
        [*{**_PROMPT, "chosen": pa.string(), "rejected": pa.string(), **_ABOUT}.items()]
    ),
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: rows by kind, by source and licences, and how many were left out."""

    rows: dict[str, int]
    by_source: dict[tuple[str, str, str | None], int]
    """By the source and the licence of the task and that of the model, None where none wrote it."""
    left_out: int


def export_rows(
    store: Store, chosen: Manifest, out: Path, model_licence: str, *, unknown_licences: bool
) -> Exported:
    """Writes the rows of a round as Parquet under `data/KIND` of a folder, streamed.
    `model_licence` is that of the model which the run began with; empty is unknown.

    Rows whose task, or the model that wrote them, is of unknown licence are left out unless
    `unknown_licences`. Raises ConfigError when that leaves none.
    """
    counts: Counter[str] = Counter()
    sources: Counter[tuple[str, str, str | None]] = Counter()
    left_out = 0

    def kept(kind: Any) -> Iterator[dict[str, Any]]:
        nonlocal left_out
        for row in store.read_all(kind, chosen):
            source, licence = row.provenance.source, known_licence(row.provenance.licence)
            wrote = model_licence if row.provenance.parents else None
            if not unknown_licences and "" in (licence, wrote):
                left_out += 1
                continue
            counts[kind.name] += 1
            sources[source, licence, wrote] += 1
            yield _columns(row, wrote)

    for kind in (EXAMPLES, PAIRS):
        _write(kept(kind), SCHEMAS[kind.name], out / "data" / kind.name)
    if not counts:
        raise ConfigError(
            f"{chosen.reference}: expected rows of known licence, saw {left_out} of unknown: "
            "give the tasks a `licence` and the model's README.md one, or export them with "
            "--unknown-licences"
        )
    return Exported(dict(counts), dict(sources), left_out)


def _write(rows: Iterator[dict[str, Any]], schema: pa.Schema, folder: Path) -> None:
    written, number = ROWS_A_FILE, 0
    with ExitStack() as file:
        while group := list(islice(rows, ROWS_A_GROUP)):
            if written >= ROWS_A_FILE:
                file.close()
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"train-{number:05}.parquet"
                # Given a path, the writer leaves its file open when the disk is full at its end.
                sink = file.enter_context(pa.OSFile(str(path), "wb"))
                writer = file.enter_context(pq.ParquetWriter(sink, schema))
                written, number = 0, number + 1
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            written += len(group)


def _columns(row: Row, model_licence: str | None) -> dict[str, Any]:
    origin = row.provenance
    prompt = row.prompt
    turns = None
    if not isinstance(prompt, str):
        turns = [
            {"role": turn.role, "content": turn.content}
            for turn in prompt
            if isinstance(turn, ChatMessage)
        ]
    answers = (
        {"completion": row.completion}
        if isinstance(row, Example)
        else {"chosen": row.chosen, "rejected": row.rejected}
    )
    about = {name: getattr(origin, name) for name in _ABOUT if name != "model_licence"}
    return {
        "id": row_id(row),
        "prompt": prompt if isinstance(prompt, str) else None,
        "messages": turns,
        **answers,
        **about,
        "model_licence": model_licence,
        "parents": list(origin.parents),
    }
