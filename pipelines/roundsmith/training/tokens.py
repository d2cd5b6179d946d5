"""Examples as token ids on disk, tokenized exactly as the generator and the scorer do.

The prompt has the tokenizer's own special tokens or its chat template, the completion is tokenized
apart, and the end token closes it; loss is on completion and end token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.models.rendering import encode, render
from roundsmith.store import EXAMPLES, read_file
from roundsmith.types import Example

NO_LOSS = -100
_ROWS_PER_BATCH = 512


@dataclass(frozen=True, slots=True)
class Coder:
    """A tokenizer with what it needs to make rows: the end token, the vocabulary and the
    longest row.
    """

    tokenizer: Any
    end_id: int
    vocabulary: int
    max_length: int

    def encode(self, example: Example) -> tuple[list[int], list[int]]:
        """Token ids and labels, of one length; labels are NO_LOSS on the prompt."""
        prompt = render(self.tokenizer, example.prompt, self.vocabulary)
        completion = [*encode(self.tokenizer, example.completion), self.end_id]
        return prompt + completion, [NO_LOSS] * len(prompt) + completion


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Token rows in an Arrow stream, and their lengths; `num_dropped` rows were too long."""

    path: Path
    lengths: Sequence[int]
    num_dropped: int


def write_tokens(coder: Coder, rows: Sequence[Path], path: Path) -> TokenFile:
    """Tokenize the examples of Parquet files into columns `input_ids` and `labels`.

    Raises ConfigError when no row is left.
    """
    import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

    ids = pa.list_(pa.int32())
    schema = pa.schema({"input_ids": ids, "labels": ids})
    lengths: list[int] = []
    num_dropped = 0
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in _batches(coder, rows):
            kept = [row for row in batch if len(row["input_ids"]) <= coder.max_length]
            num_dropped += len(batch) - len(kept)
            lengths += [len(row["input_ids"]) for row in kept]
            writer.write_batch(pa.RecordBatch.from_pylist(kept, schema=schema))
    if not lengths:
        raise ConfigError(
            f"expected examples of at most {coder.max_length} tokens, saw none among "
            f"{num_dropped} in "
            f"{[str(row) for row in rows]}: give rows, or raise max_length"
        )
    return TokenFile(path, lengths, num_dropped)


def _batches(coder: Coder, rows: Sequence[Path]) -> Iterator[list[dict[str, list[int]]]]:
    batch: list[dict[str, list[int]]] = []
    for path in rows:
        for example in read_file(EXAMPLES, path):
            ids, labels = coder.encode(example)
            batch.append({"input_ids": ids, "labels": labels})
            if len(batch) == _ROWS_PER_BATCH:
                yield batch
                batch = []
    yield batch
