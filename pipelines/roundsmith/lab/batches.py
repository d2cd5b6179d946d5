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

_POOL_ROWS = 3000
"""Rows that are sorted by length together, so that little is padded."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids, and what each token's prediction weighs in the loss (0 for padding)."""

    ids_BT: "Tensor"
    weights_BT: "Tensor"


def batches(
    rows: Iterator[CorpusRow],
    tok: "PreTrainedTokenizerFast",
    num_tokens: int,
    prompt_weight: float,
    rng: Random,
) -> Iterator[Batch]:
    """Cut an endless stream of rows into batches of at most `num_tokens` tokens, padding included.

    Prompt and completion are tokenized apart, as the generator and the scorer see them.
    """
    while True:
        pool = list(islice(rows, _POOL_ROWS))
        prompts = tok([row.prompt for row in pool]).input_ids
        completions = tok([row.completion for row in pool]).input_ids
        pairs = [(p, [*c, tok.eos_token_id]) for p, c in zip(prompts, completions, strict=True)]
        pairs.sort(key=_length)
        cuts = list(_cut(pairs, num_tokens))
        rng.shuffle(cuts)
        for cut in cuts:
            yield _pad(cut, tok.pad_token_id, prompt_weight)


def _length(pair: tuple[list[int], list[int]]) -> int:
    return len(pair[0]) + len(pair[1])


def _cut(
    pairs: list[tuple[list[int], list[int]]], num_tokens: int
) -> Iterator[list[tuple[list[int], list[int]]]]:
    cut: list[tuple[list[int], list[int]]] = []
    for pair in pairs:
        if cut and (len(cut) + 1) * _length(pair) > num_tokens:
            yield cut
            cut = []
        cut.append(pair)
    yield cut


def _pad(pairs: list[tuple[list[int], list[int]]], pad: int, prompt_weight: float) -> Batch:
    width = max(map(_length, pairs))
    ids_BT = torch.full((len(pairs), width), pad)
    weights_BT = torch.zeros(len(pairs), width)
    for row, (prompt, completion) in enumerate(pairs):
        end = len(prompt) + len(completion)
        ids_BT[row, :end] = torch.tensor([*prompt, *completion])
        weights_BT[row, : len(prompt)] = prompt_weight
        weights_BT[row, len(prompt) : end] = 1.0
    return Batch(ids_BT, weights_BT)
