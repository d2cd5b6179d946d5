"""The output layer, read without its output: [tokens, vocabulary] never exists.

A fixed number of positions is taken at a time, and of the vocabulary a slice; what a slice adds to
a position is summed up in float32. Axes: C positions of a chunk, D width, V a slice of the
vocabulary, P tokens picked for a position, K most likely ones.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from roundsmith.models.graphs import Replays, on_device
from roundsmith.models.loading import LoadedModel
from roundsmith.scorer.rows import MAX_TOP_K

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CPU_CHUNK, _GPU_CHUNK = 64, 2048
SLICE = MAX_TOP_K
"""Tokens of the vocabulary of one multiplication."""
UNSEEN = -100.0
"""The log-probability that InverseCoder gives to a token that is not among the top k."""


def chunk(device: str) -> int:
    """Positions of one multiplication, always as many: another number gives other last bits."""
    return _CPU_CHUNK if device == "cpu" else _GPU_CHUNK


class Head:
    """The output layer of a model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._layer: Any = loaded.model.get_output_embeddings()
        self._config: Any = loaded.model.config.get_text_config()
        self._device, self._vocabulary = loaded.device, loaded.vocabulary
        self._chunk = chunk(loaded.device.type)
        self._sliced = type(self._layer) is torch.nn.Linear
        self._replays = Replays("chunks of the output layer", loaded.device)

    def logprobs(
        self,
        hidden_TD: torch.Tensor,
        places: "NDArray[np.int64]",
        picks_NP: "NDArray[np.int64]",
        top_k: int = 0,
    ) -> torch.Tensor:
        """The log-probabilities of tokens after some places of a pass, [N, P] in float32 on the
        device. Where `top_k` is not 0, what is less likely than the last of the top k is not seen.
        """
        size = self._chunk
        which = np.arange(-(-len(places) // size) * size) % len(places)
        places_N1 = places[:, None]
        numbers = on_device(np.concatenate([places_N1, picks_NP], axis=1)[which], self._device)
        hidden_ND = hidden_TD[numbers[:, 0]]
        chunks = zip(torch.split(hidden_ND, size), torch.split(numbers[:, 1:], size), strict=True)
        key = picks_NP.shape[1], top_k

        def read(hidden_CD: torch.Tensor, picks_CP: torch.Tensor) -> torch.Tensor:
            return self._read(hidden_CD, picks_CP, top_k)

        found = [self._replays.run(key, read, *chunk).clone() for chunk in chunks]
        return torch.cat(found)[: len(places)]

    def logits(self, hidden_CD: torch.Tensor, start: int = 0, stop: int | None = None) -> Any:
        """Of the tokens from `start` to `stop`, as the model itself would give them."""
        if self._sliced:
            bias = self._layer.bias
            part = None if bias is None else bias[start:stop]
            logits = F.linear(hidden_CD, self._layer.weight[start:stop], part)
        else:
            logits = self._layer(hidden_CD)[:, start:stop]
        if scale := getattr(self._config, "logit_scale", None):  # Cohere
            logits = logits * scale
        if divisor := getattr(self._config, "logits_scaling", None):  # Granite
            logits = logits / divisor
        if cap := getattr(self._config, "final_logit_softcapping", None):  # Gemma
            logits = torch.tanh(logits / cap) * cap
        return logits

    def _read(self, hidden_CD: torch.Tensor, picks_CP: torch.Tensor, top_k: int) -> torch.Tensor:
        """The picked logits less the logarithm of the sum of exp over all, [C, P]."""
        picked_CP = torch.zeros(picks_CP.shape, device=self._device)
        normal_C = torch.full((len(hidden_CD),), -torch.inf, device=self._device)
        best_CK: torch.Tensor | None = None
        for start in range(0, self._vocabulary, SLICE):
            logits_CV = self.logits(hidden_CD, start, min(start + SLICE, self._vocabulary)).float()
            normal_C = torch.logaddexp(normal_C, torch.logsumexp(logits_CV, dim=-1))
            places_CP = picks_CP - start
            inside = (places_CP >= 0) & (places_CP < logits_CV.shape[1])
            found = logits_CV.gather(1, places_CP.clamp(0, logits_CV.shape[1] - 1))
            picked_CP = torch.where(inside, found, picked_CP)
            if top_k:
                seen = logits_CV if best_CK is None else torch.cat([best_CK, logits_CV], dim=1)
                best_CK = seen.topk(min(top_k, seen.shape[1]), dim=1).values
        logprobs_CP = picked_CP - normal_C[:, None]
        if best_CK is None:
            return logprobs_CP
        return logprobs_CP.masked_fill(picked_CP < best_CK[:, -1:], UNSEEN)


def p_yes(yes: float, no: float, stand_in: float) -> float:
    """exp(yes) / (exp(yes) + exp(no)); the stand-in counts where No is not seen."""
    if no == UNSEEN:
        no = stand_in
    return 1.0 / (1.0 + math.exp(min(no - yes, 700.0)))
