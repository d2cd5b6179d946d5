"""Rows as token ids on disk, tokenized exactly as the generator and the scorer do.

The prompt has the tokenizer's own special tokens or its chat template, a completion is tokenized
apart, and the end token closes it; what an objective learns is on completion and end token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.store import read_file
from roundsmith.training.coder import Coder
from roundsmith.training.job import TrainingJob
from roundsmith.training.objective import Objective, TokenRow

NO_LOSS = -100
_ROWS_PER_BATCH = 512


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Token rows in an Arrow stream, and the tokens of each that a model reads; `num_dropped` rows
    were too long.
    """

    path: Path
    lengths: Sequence[int]
    num_dropped: int


def write_tokens(coder: Coder, objective: Objective, job: TrainingJob, path: Path) -> TokenFile:
    """Tokenize the job's part of its rows into the objective's columns.

    A row is dropped whole where one of its sequences, prompt and completion, is too long. Raises
    ConfigError when no row is left.
    """
    import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

    types = {"ids": pa.list_(pa.int32()), "label": pa.bool_(), "text": pa.string()}
    schema = pa.schema({name: types[kind] for name, kind in objective.columns.items()})
    lengths: list[int] = []
    num_dropped = 0
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in _batches(coder, objective, job):
            kept = [made for made in batch if _longest(made) <= coder.max_length]
            num_dropped += len(batch) - len(kept)
            flat = [row for made in kept for row in made]
            lengths += [sum(_sequences(row)) for row in flat]
            writer.write_batch(pa.RecordBatch.from_pylist(flat, schema=schema))
    if not lengths:
        part = "" if job.part == "all" else f", of the part {job.part!r}"
        raise ConfigError(
            f"expected {objective.kind.name}s of at most {coder.max_length} tokens, saw none among "
            f"{num_dropped} in "
            f"{[str(row) for row in job.rows]}{part}: give rows, or raise max_length"
        )
    return TokenFile(path, lengths, num_dropped)


def _batches(
    coder: Coder, objective: Objective, job: TrainingJob
) -> Iterator[list[list[TokenRow]]]:
    """The token rows of each row of the job's part, many rows at a time."""
    batch: list[list[TokenRow]] = []
    for path in job.rows:
        for row in read_file(objective.kind, path):
            if job.part != "all" and (job.part == "selected") != bool(row.provenance.parents):
                continue
            batch.append(list(objective.encode(coder, row)))
            if len(batch) == _ROWS_PER_BATCH:
                yield batch
                batch = []
    yield batch


def _longest(rows: Sequence[TokenRow]) -> int:
    return max(length for row in rows for length in _sequences(row))


def _sequences(row: TokenRow) -> list[int]:
    """The lengths of the sequences that a model reads for a row: each completion with the prompt
    before it.
    """
    if "input_ids" in row:
        return [len(row["input_ids"])]
    if not row.keys() & {"chosen_ids", "completion_ids"}:
        return [len(row["prompt_ids"])]
    ends = ("chosen_ids", "rejected_ids", "completion_ids")
    return [len(row["prompt_ids"]) + len(row[end]) for end in ends if end in row]
