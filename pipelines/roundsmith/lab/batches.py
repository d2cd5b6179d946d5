"""Corpus rows as padded batches of tokens, cut by length.

Axes: B rows of a batch, T tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import torch

from roundsmith.lab.corpus import CorpusRow

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

_Weighted = list[tuple[int, float]]
_POOL_ROWS = 3000
"""Rows that are sorted by length together, so that little is padded."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids, and what each token's prediction weighs in the loss (0 for padding)."""

    ids_BT: "Tensor"
    weights_BT: "Tensor"


def batches(
    rows: Iterator[CorpusRow], tok: "PreTrainedTokenizerFast", num_tokens: int, rng: Random
) -> Iterator[Batch]:
    """Cut an endless stream of rows into batches of at most `num_tokens` tokens, padding included.

    Parts are tokenized apart, as the generator and the scorer see prompts and completions; the end
    token weighs 1.
    """
    while True:
        encoded = sorted(_encode(list(islice(rows, _POOL_ROWS)), tok), key=len)
        cuts = list(_cut(encoded, num_tokens))
        rng.shuffle(cuts)
        for cut in cuts:
            yield _pad(cut, tok.pad_token_id)


def _encode(rows: list[CorpusRow], tok: "PreTrainedTokenizerFast") -> Iterator[_Weighted]:
    ids = iter(tok([part.text for row in rows for part in row.parts]).input_ids)
    for row in rows:
        weighted = [(token, part.weight) for part in row.parts for token in next(ids)]
        yield [*weighted, (tok.eos_token_id, 1.0)]


def _cut(rows: list[_Weighted], num_tokens: int) -> Iterator[list[_Weighted]]:
    cut: list[_Weighted] = []
    for row in rows:
        if cut and (len(cut) + 1) * len(row) > num_tokens:
            yield cut
            cut = []
        cut.append(row)
    yield cut


def _pad(rows: list[_Weighted], pad: int) -> Batch:
    width = max(map(len, rows))
    ids_BT = torch.full((len(rows), width), pad)
    weights_BT = torch.zeros(len(rows), width)
    for index, row in enumerate(rows):
        tokens, weights = zip(*row, strict=True)
        ids_BT[index, : len(row)] = torch.tensor(tokens)
        weights_BT[index, : len(row)] = torch.tensor(weights)
    return Batch(ids_BT, weights_BT)
