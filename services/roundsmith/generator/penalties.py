"""Logits made smaller for what a row has already: presence, frequency and repetition penalties.

Axes: S slots, V vocabulary.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roundsmith.types import Sampling

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class Penalty:
    """The penalties of one completion, and the tokens that they are for."""

    presence: float
    frequency: float
    repetition: float
    prompt: frozenset[int]
    drawn: Counter[int] = field(default_factory=Counter)

    def add(self, token_id: int) -> None:
        """The completion has drawn a token."""
        self.drawn[token_id] += 1


def penalty(sampling: Sampling, prompt: Sequence[int]) -> Penalty | None:
    """The penalties of a completion that begins, or None where all are off."""
    presence, frequency = sampling.presence_penalty, sampling.frequency_penalty
    if not presence and not frequency and sampling.repetition_penalty == 1:
        return None
    return Penalty(presence, frequency, sampling.repetition_penalty, frozenset(prompt))


def penalised(logits_SV: "torch.Tensor", penalties: Mapping[int, Penalty]) -> "torch.Tensor":
    """The logits with each slot's penalties; the same tensor where there are none.

    z := z / r where z > 0, else z r, for tokens of prompt and completion; then
    z := z - f count - p, for tokens of the completion.
    """
    if not penalties:
        return logits_SV
    import torch

    shaped_SV = logits_SV.clone()
    for slot, one in penalties.items():
        row_V = shaped_SV[slot]
        if one.repetition != 1:
            seen = torch.tensor(sorted(one.prompt | one.drawn.keys()), device=row_V.device)
            z = row_V[seen]
            row_V[seen] = torch.where(z > 0, z / one.repetition, z * one.repetition)
        if one.drawn:
            seen = torch.tensor(list(one.drawn), device=row_V.device)
            counts = torch.tensor(list(one.drawn.values()), device=row_V.device)
            row_V[seen] -= one.frequency * counts + one.presence
    return shaped_SV
