"""Drawing one token for every slot at once, so that a row's draw depends on that row alone.

Axes: S slots, V vocabulary, C rows that cut (top-k or top-p).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roundsmith.errors import ConfigError
from roundsmith.types import Sampling

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Draws:
    """How each slot draws: its seed, the tokens drawn before, the rest as in Sampling."""

    seeds_S: "NDArray[np.uint64]"
    steps_S: "NDArray[np.uint64]"
    temperatures_S: "NDArray[np.float32]"
    top_ps_S: "NDArray[np.float32]"
    top_ks_S: "NDArray[np.int64]"

    @classmethod
    def idle(cls, slots: int) -> "Draws":
        """Every slot greedy, as an empty one is."""
        return cls(
            np.zeros(slots, np.uint64),
            np.zeros(slots, np.uint64),
            np.zeros(slots, np.float32),
            np.ones(slots, np.float32),
            np.zeros(slots, np.int64),
        )

    def set(self, slot: int, seed: int, sampling: Sampling) -> None:
        """Begin a completion in a slot."""
        self.seeds_S[slot] = seed
        self.steps_S[slot] = 0
        self.temperatures_S[slot] = sampling.temperature
        self.top_ps_S[slot] = sampling.top_p
        self.top_ks_S[slot] = sampling.top_k

    def clear(self, slot: int) -> None:
        """Make a slot's draw the cheapest."""
        self.set(slot, 0, Sampling(max_tokens=1, temperature=0.0))


def check_sampling(sampling: Sampling) -> None:
    """Raises ConfigError for a value that has no meaning."""
    for wrong, name, seen, expected in (
        (sampling.max_tokens < 1, "max_tokens", sampling.max_tokens, "at least 1"),
        (
            not 0 <= sampling.temperature < 1e6,
            "temperature",
            sampling.temperature,
            "0 (greedy) or above, finite",
        ),
        (not 0 < sampling.top_p <= 1, "top_p", sampling.top_p, "above 0, at most 1"),
        (sampling.top_k < 0, "top_k", sampling.top_k, "0 (off) or above"),
        ("" in sampling.stop, "stop", sampling.stop, "strings of at least one character"),
    ):
        if wrong:
            raise ConfigError(f"sampling.{name}: saw {seen!r}, expected {expected}")


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


def draw(logits_SV: "torch.Tensor", draws: Draws) -> tuple["torch.Tensor", "torch.Tensor"]:
    """A token for each slot, and its log-probability under the model (before temperature and cuts).

    `logits_SV` is float32. Inverse of the cumulated distribution at a counted uniform, in float64.
    """
    import torch

    device = logits_SV.device
    logprobs_SV = torch.log_softmax(logits_SV, dim=-1)
    tokens_S = logits_SV.argmax(dim=-1)
    if draws.temperatures_S.any():
        temperatures_S = torch.from_numpy(draws.temperatures_S).to(device)
        warm_S = temperatures_S > 0
        scaled_SV = logits_SV / torch.where(warm_S, temperatures_S, 1.0)[:, None]
        cut_S = ((draws.top_ps_S < 1) | (draws.top_ks_S > 0)) & (draws.temperatures_S > 0)
        if cut_S.any():
            _cut(scaled_SV, torch.from_numpy(cut_S.nonzero()[0]).to(device), draws, cut_S)
        u_S = torch.from_numpy(uniforms(draws.seeds_S, draws.steps_S)).to(device)
        tokens_S = torch.where(warm_S, _invert(scaled_SV, u_S), tokens_S)
    return tokens_S, logprobs_SV.gather(1, tokens_S[:, None])[:, 0]


def _invert(scaled_SV: "torch.Tensor", u_S: "torch.Tensor") -> "torch.Tensor":
    """The first token at which the cumulated probability exceeds u."""
    import torch

    cumulated_SV = torch.softmax(scaled_SV, dim=-1).cumsum(dim=-1, dtype=torch.float64)
    total_S = cumulated_SV[:, -1]
    target_S = torch.minimum(u_S * total_S, torch.nextafter(total_S, torch.zeros_like(total_S)))
    return torch.searchsorted(cumulated_SV, target_S[:, None], right=True)[:, 0]


def _cut(
    scaled_SV: "torch.Tensor", rows_C: "torch.Tensor", draws: Draws, cut_S: "NDArray[np.bool_]"
) -> None:
    """Set what lies outside top-k, then outside top-p of the rest, to -inf, in place."""
    import torch

    vocabulary = scaled_SV.shape[1]
    top_ks_C = draws.top_ks_S[cut_S]
    ks_C = torch.from_numpy(
        np.where(top_ks_C > 0, np.minimum(top_ks_C, vocabulary), vocabulary)
    ).to(scaled_SV.device)
    ps_C = torch.from_numpy(draws.top_ps_S[cut_S]).to(scaled_SV.device)
    sorted_CV, order_CV = scaled_SV[rows_C].sort(dim=-1, descending=True, stable=True)
    beyond_CV = torch.arange(vocabulary, device=scaled_SV.device)[None, :] >= ks_C[:, None]
    sorted_CV = sorted_CV.masked_fill(beyond_CV, -torch.inf)
    probabilities_CV = torch.softmax(sorted_CV, dim=-1)
    before_CV = probabilities_CV.cumsum(dim=-1, dtype=torch.float64) - probabilities_CV
    # the most likely token is always kept, whatever rounding does to the mass before it
    outside_CV = (before_CV >= ps_C[:, None]) & (before_CV > 0)
    sorted_CV = sorted_CV.masked_fill(outside_CV, -torch.inf)
    scaled_SV[rows_C] = torch.empty_like(sorted_CV).scatter_(1, order_CV, sorted_CV)
