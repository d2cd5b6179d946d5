"""The output layer, read without its output: [tokens, vocabulary] never exists.

A fixed number of positions is taken at a time, and of the vocabulary a slice; what a slice adds to
a position is summed up in float32. Axes: C positions of a chunk, D width, V a slice of the
vocabulary, P tokens picked for a position, K most likely ones.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from roundsmith.models.loading import LoadedModel
from roundsmith.scorer.rows import MAX_TOP_K, Question

_CPU_CHUNK, _GPU_CHUNK = 64, 2048
SLICE = MAX_TOP_K
"""Tokens of the vocabulary of one multiplication."""
_UNSEEN = -100.0
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

    def logprobs(self, hidden_ND: torch.Tensor, targets: Sequence[int]) -> list[float]:
        """The log-probability of each position's target."""
        found: list[torch.Tensor] = []
        for hidden_CD, picks_CP in self._chunks(hidden_ND, [(target,) for target in targets]):
            picked_CP, normal_C, _ = self._read(hidden_CD, picks_CP, 0)
            found.append(picked_CP[:, 0] - normal_C)
        logprobs: list[float] = torch.cat(found).tolist() if found else []
        return logprobs[: len(targets)]

    def answers(self, hidden_ND: torch.Tensor, questions: Sequence[Question]) -> list[float]:
        """P(yes) of each position, whose questions see equally many tokens. One that is as likely
        as the last of the top k is seen too.
        """
        (top_k,) = {question.top_k for question in questions}
        picks = [(question.yes, question.no, question.stand_in) for question in questions]
        found: list[list[float]] = []
        for hidden_CD, picks_CP in self._chunks(hidden_ND, picks):
            picked_CP, normal_C, least_C = self._read(hidden_CD, picks_CP, top_k)
            logprobs_CP = picked_CP - normal_C[:, None]
            if least_C is not None:
                hidden = picked_CP < least_C[:, None]
                logprobs_CP = logprobs_CP.masked_fill(hidden, _UNSEEN)
            found += logprobs_CP.tolist()
        return [_p_yes(*logprobs) for logprobs in found[: len(questions)]]

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

    def _chunks(
        self, hidden_ND: torch.Tensor, picks: Sequence[tuple[int, ...]]
    ) -> "zip[tuple[torch.Tensor, torch.Tensor]]":
        """Hidden states and picks, a chunk at a time, the last filled up with the first again."""
        num = -(-len(hidden_ND) // self._chunk) * self._chunk
        which = torch.arange(num) % max(1, len(hidden_ND))
        picks_NP = torch.tensor(picks)[which].to(self._device)
        hidden_ND = hidden_ND[which.to(self._device)]
        size = self._chunk
        return zip(torch.split(hidden_ND, size), torch.split(picks_NP, size), strict=True)

    def _read(
        self, hidden_CD: torch.Tensor, picks_CP: torch.Tensor, top_k: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """The picked logits, the logarithm of the sum of exp over all, and the least of the top k
        logits where `top_k` is not 0.
        """
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
        return picked_CP, normal_C, None if best_CK is None else best_CK[:, -1]


def _p_yes(yes: float, no: float, stand_in: float) -> float:
    """exp(yes) / (exp(yes) + exp(no)); the stand-in counts where No is not seen."""
    if no == _UNSEEN:
        no = stand_in
    return 1.0 / (1.0 + math.exp(min(no - yes, 700.0)))
