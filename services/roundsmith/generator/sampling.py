"""Drawing one token for every slot at once, so that a row's draw depends on that row alone.

Axes: S slots, V vocabulary, C rows that cut (top-k or top-p), K most likely tokens of a row, D rows
of C that are decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roundsmith.generator.penalties import Penalty, penalised
from roundsmith.types import Sampling, TopLogprobs

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_CANDIDATES = 128
"""Tokens that are sorted first; hardly a cut of a trained model's distribution needs more."""


@dataclass(frozen=True, slots=True)
class Draws:
    """How each slot draws: its seed, the tokens drawn before, the rest as in Sampling."""

    seeds_S: "NDArray[np.uint64]"
    steps_S: "NDArray[np.uint64]"
    temperatures_S: "NDArray[np.float32]"
    top_ps_S: "NDArray[np.float32]"
    top_ks_S: "NDArray[np.int64]"
    min_ps_S: "NDArray[np.float32]"
    num_tops_S: "NDArray[np.int64]"
    """How many of the most likely tokens are told."""

    @classmethod
    def idle(cls, slots: int) -> "Draws":
        """Every slot greedy, as an empty one is."""
        return cls(
            np.zeros(slots, np.uint64),
            np.zeros(slots, np.uint64),
            np.zeros(slots, np.float32),
            np.ones(slots, np.float32),
            np.zeros(slots, np.int64),
            np.zeros(slots, np.float32),
            np.zeros(slots, np.int64),
        )

    def set(self, slot: int, seed: int, sampling: Sampling, num_tops: int = 0) -> None:
        """Begin a completion in a slot."""
        self.seeds_S[slot] = seed
        self.steps_S[slot] = 0
        self.temperatures_S[slot] = sampling.temperature
        self.top_ps_S[slot] = sampling.top_p
        self.top_ks_S[slot] = sampling.top_k
        self.min_ps_S[slot] = sampling.min_p
        self.num_tops_S[slot] = num_tops

    def clear(self, slot: int) -> None:
        """Make a slot's draw the cheapest."""
        self.set(slot, 0, Sampling(max_tokens=1, temperature=0.0))


def uniforms(seeds: "NDArray[np.uint64]", steps: "NDArray[np.uint64]") -> "NDArray[np.float64]":
    """One number in [0, 1) for each (seed, step): SplitMix64 (Steele et al.

    2014) entered at its step-th output.
    """
    with np.errstate(over="ignore"):
        x = seeds + (steps + np.uint64(1)) * GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return np.asarray((x >> np.uint64(11)) * 2.0**-53, np.float64)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token of each slot, its log-probability under the model (before temperature, penalties and
    cuts; NaN where the slot's logits are no numbers, and then the token means nothing), and of the
    slots that asked for them the most likely tokens.
    """

    tokens: list[int]
    logprobs: list[float]
    tops: Mapping[int, TopLogprobs]


def draw(logits_SV: "torch.Tensor", draws: Draws, penalties: Mapping[int, Penalty]) -> Drawn:
    """A token for each slot; `penalties` are those of the slots that have some.

    `logits_SV` is float32. Inverse of the cumulated distribution at a counted uniform, in float64.
    """
    import torch

    logprobs_SV = torch.log_softmax(logits_SV, dim=-1)
    shaped_SV = penalised(logits_SV, penalties)
    tokens_S = shaped_SV.argmax(dim=-1)
    if draws.temperatures_S.any():
        device = logits_SV.device
        temperatures_S = torch.from_numpy(draws.temperatures_S).to(device)
        warm_S = temperatures_S > 0
        scaled_SV = shaped_SV / torch.where(warm_S, temperatures_S, 1.0)[:, None]
        if draws.min_ps_S.any():
            floors_S = torch.from_numpy(draws.min_ps_S).to(device).log()  # of 0: -inf
            lowest_S1 = (scaled_SV.max(dim=-1).values + floors_S)[:, None]
            scaled_SV = scaled_SV.masked_fill(scaled_SV < lowest_S1, -torch.inf)
        cut_S = ((draws.top_ps_S < 1) | (draws.top_ks_S > 0)) & (draws.temperatures_S > 0)
        if cut_S.any():
            _cut(scaled_SV, draws, cut_S)
        u_S = torch.from_numpy(uniforms(draws.seeds_S, draws.steps_S)).to(device)
        tokens_S = torch.where(warm_S, _invert(scaled_SV, u_S), tokens_S)
    # no place in the sum of a row exceeds u where the row is no numbers: that is past its end
    inside_S = tokens_S < logits_SV.shape[1]
    tokens_S = torch.where(inside_S, tokens_S, 0)
    drawn_S = logprobs_SV.gather(1, tokens_S[:, None])[:, 0]
    drawn_S = torch.where(inside_S, drawn_S, torch.nan)
    return Drawn(tokens_S.tolist(), drawn_S.tolist(), _tops(logprobs_SV, draws))


def _tops(logprobs_SV: "torch.Tensor", draws: Draws) -> dict[int, TopLogprobs]:
    found = {}
    for slot in draws.num_tops_S.nonzero()[0].tolist():
        best = logprobs_SV[slot].topk(min(int(draws.num_tops_S[slot]), logprobs_SV.shape[1]))
        found[slot] = TopLogprobs(tuple(best.indices.tolist()), tuple(best.values.tolist()))
    return found


def _invert(scaled_SV: "torch.Tensor", u_S: "torch.Tensor") -> "torch.Tensor":
    """The first token at which the cumulated probability exceeds u."""
    import torch

    cumulated_SV = torch.softmax(scaled_SV, dim=-1).cumsum(dim=-1, dtype=torch.float64)
    total_S = cumulated_SV[:, -1]
    target_S = torch.minimum(u_S * total_S, torch.nextafter(total_S, torch.zeros_like(total_S)))
    return torch.searchsorted(cumulated_SV, target_S[:, None], right=True)[:, 0]


def _cut(scaled_SV: "torch.Tensor", draws: Draws, cut_S: "NDArray[np.bool_]") -> None:
    """Set what lies outside top-k, then outside top-p of the rest, to -inf, in place.

    Only the most likely tokens of a row are sorted, and more of them where these do not decide.
    """
    rows_C, candidates = cut_S.nonzero()[0], _CANDIDATES
    while rows_C.size:
        candidates = min(candidates, scaled_SV.shape[1])
        rows_C = rows_C[~_cut_among(scaled_SV, draws, rows_C, candidates)]
        candidates *= 16


def _cut_among(
    scaled_SV: "torch.Tensor", draws: Draws, rows_C: "NDArray[np.int64]", candidates: int
) -> "NDArray[np.bool_]":
    """Cuts the rows of which so many candidates, K, show where the cut lies; whether they did."""
    import torch

    device, vocabulary = scaled_SV.device, scaled_SV.shape[1]
    row_CV = scaled_SV[torch.from_numpy(rows_C).to(device)]
    sorted_CK = row_CV.topk(candidates, dim=-1).values
    ks_C = np.where(draws.top_ks_S[rows_C] > 0, draws.top_ks_S[rows_C], vocabulary)
    within_CK = torch.arange(candidates) < torch.from_numpy(ks_C)[:, None]
    sorted_CK = sorted_CK.masked_fill(~within_CK.to(device), -torch.inf)
    few_C = torch.from_numpy(ks_C <= candidates).to(device)
    total_C = torch.where(few_C, sorted_CK.logsumexp(dim=-1), row_CV.logsumexp(dim=-1))
    probabilities_CK = (sorted_CK - total_C[:, None]).exp()
    cumulated_CK = probabilities_CK.cumsum(dim=-1, dtype=torch.float64)
    before_CK = cumulated_CK - probabilities_CK
    ps_C = torch.from_numpy(draws.top_ps_S[rows_C]).to(device)
    # the most likely token is always kept, whatever rounding does to the mass before it
    kept_CK = ((before_CK < ps_C[:, None]) | (before_CK <= 0)) & (sorted_CK > -torch.inf)
    decided_C = few_C | (cumulated_CK[:, -1] >= ps_C) & torch.from_numpy(ks_C >= vocabulary).to(
        device
    )
    decided_C |= candidates == vocabulary
    rows_D = torch.from_numpy(rows_C).to(device)[decided_C]
    scaled_SV[rows_D] = _keep_largest(
        row_CV[decided_C], sorted_CK[decided_C], kept_CK[decided_C].sum(dim=-1)
    )
    return decided_C.cpu().numpy()


def _keep_largest(
    row_DV: "torch.Tensor", sorted_DK: "torch.Tensor", nums_D: "torch.Tensor"
) -> "torch.Tensor":
    """The rows with all but their so many largest values at -inf; of equal ones the first stay."""
    import torch

    smallest_D1 = sorted_DK.gather(1, (nums_D - 1).clamp(min=0)[:, None])
    equal_DV = row_DV == smallest_D1
    above_DV = row_DV > smallest_D1
    room_D = nums_D - above_DV.sum(dim=-1)
    if bool((equal_DV.sum(dim=-1) > room_D).any()):
        equal_DV &= equal_DV.cumsum(dim=-1) <= room_D[:, None]
    return row_DV.masked_fill(~(above_DV | equal_DV), -torch.inf)
