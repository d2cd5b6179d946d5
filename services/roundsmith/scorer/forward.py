"""One forward pass of fixed shape, and the log-probabilities read from it.

Rows are padded at the end, where causal attention never looks, and a bucket always has the same
number of rows: so a row's numbers do not depend on its neighbours. The output layer is applied to a
fixed number of positions at a time, so [tokens, vocabulary] never exists. Axes: R rows, L padded
length, D width, C positions of a chunk.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch

from roundsmith.errors import ConfigError
from roundsmith.models.loading import LoadedModel
from roundsmith.scorer.rows import Row

CHUNK = 128


class Forward:
    """The arithmetic of a loaded model. Not safe for several threads."""

    def __init__(self, loaded: LoadedModel) -> None:
        """ConfigError for a model whose logits are not what its output layer gives."""
        self.loaded = loaded
        self._check_head()

    @torch.inference_mode()
    def read(
        self, rows: Sequence[Row], num_rows: int, length: int
    ) -> list[list[tuple[float, float]]]:
        """For each row and position the log-probabilities of its pair of tokens, in float32."""
        inputs_RL = torch.zeros(num_rows, length, dtype=torch.long)
        for r, row in enumerate(rows):
            inputs_RL[r, : len(row.inputs)] = torch.tensor(row.inputs)
        hidden_RLD = self._hidden(inputs_RL.to(self.loaded.device))
        where = [
            r * length + row.first + t for r, row in enumerate(rows) for t in range(len(row.picks))
        ]
        picks = [pick for row in rows for pick in row.picks]
        found = iter(self._logprobs(hidden_RLD.flatten(0, 1), where, picks))
        return [list(islice(found, len(row.picks))) for row in rows]

    def _logprobs(
        self, hidden_TD: torch.Tensor, where: list[int], picks: list[tuple[int, int]]
    ) -> list[tuple[float, float]]:
        pad = -len(where) % CHUNK
        device = self.loaded.device
        where_T = torch.tensor(where + [0] * pad, device=device)
        picks_T2 = torch.tensor(picks + [(0, 0)] * pad, device=device)
        found: list[torch.Tensor] = []
        for where_C, picks_C2 in zip(
            torch.split(where_T, CHUNK), torch.split(picks_T2, CHUNK), strict=True
        ):
            logits_CV = self._head(hidden_TD[where_C]).float()
            normal_C = torch.logsumexp(logits_CV, dim=-1)
            found.append(logits_CV.gather(1, picks_C2) - normal_C[:, None])
        pairs: list[tuple[float, float]] = [(yes, no) for yes, no in torch.cat(found).tolist()]
        return pairs[: len(where)]

    def _hidden(self, inputs_RL: torch.Tensor) -> torch.Tensor:
        base = self.loaded.model.base_model
        hidden: torch.Tensor = base(input_ids=inputs_RL, use_cache=False).last_hidden_state
        return hidden

    def _head(self, hidden_CD: torch.Tensor) -> torch.Tensor:
        config: Any = self.loaded.model.config.get_text_config()
        logits: torch.Tensor = self.loaded.model.get_output_embeddings()(hidden_CD)
        if scale := getattr(config, "logit_scale", None):  # Cohere
            logits = logits * scale
        if divisor := getattr(config, "logits_scaling", None):  # Granite
            logits = logits / divisor
        if cap := getattr(config, "final_logit_softcapping", None):  # Gemma
            logits = torch.tanh(logits / cap) * cap
        return logits

    @torch.inference_mode()
    def _check_head(self) -> None:
        probe = torch.arange(2, device=self.loaded.device)[None]
        own = self._head(self._hidden(probe)[0]).float()
        whole = self.loaded.model(input_ids=probe).logits[0].float()
        if not torch.allclose(own, whole, rtol=1e-2, atol=1e-2):
            raise ConfigError(
                f"{self.loaded.folder.name}: its logits are more than its output layer gives "
                f"(they differ by {float((own - whole).abs().max()):.3g}), expected a plain "
                "output layer: "
                "score with another model"
            )
