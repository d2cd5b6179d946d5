"""The arithmetic of continuous batching: a prompt goes in alone, then all slots advance together.

A prompt's forward pass has its own exact length and no neighbours; a decode step always has the
same number of rows, and a row attends to its own tokens only. So a row's numbers do not depend on
what else is running. Axes: S slots, V vocabulary, L attended length.
"""

from dataclasses import dataclass

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from roundsmith.errors import ConfigError
from roundsmith.generator.cache import SlotCache
from roundsmith.generator.sampling import Draws, draw
from roundsmith.models.loading import LoadedModel


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prompt's keys and values, and the logits after it: what its completions share."""

    cache: DynamicCache
    logits_V: torch.Tensor
    tokens: int


class Decoder:
    """The slots of one loaded model. Not safe for several threads."""

    def __init__(self, loaded: LoadedModel, slots: int, bucket_tokens: int) -> None:
        self.loaded = loaded
        self.slots = slots
        self.bucket_tokens = bucket_tokens
        self.draws = Draws.idle(slots)
        self._lengths = [0] * slots
        self._logits_SV = torch.zeros(slots, loaded.vocabulary, device=loaded.device)
        self._cache: SlotCache | None = None

    @torch.inference_mode()
    def prefill(self, ids: list[int]) -> Prefix:
        """Run a prompt alone.

        ConfigError for a model whose layers keep more than keys and values.
        """
        cache = DynamicCache()
        logits = self.loaded.model(
            input_ids=torch.tensor([ids], device=self.loaded.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        if not all(isinstance(layer, DynamicLayer) for layer in cache.layers):
            raise ConfigError(
                f"{self.loaded.folder.name}: saw layers that keep a recurrent state, expected "
                "attention layers: "
                "serve this model with another engine"
            )
        return Prefix(cache, logits[0, -1].float(), len(ids))

    @torch.inference_mode()
    def admit(self, slot: int, prefix: Prefix) -> None:
        """Put a prompt into a slot, ready to draw its first token."""
        room = self._rounded(prefix.tokens + 1)
        if self._cache is None:
            self._cache = SlotCache(self.slots, prefix.cache, self.loaded.device, room)
        self._cache.reserve(room)
        self._cache.fill(slot, prefix.cache, prefix.tokens)
        self._logits_SV[slot] = prefix.logits_V
        self._lengths[slot] = prefix.tokens

    def release(self, slot: int) -> None:
        """Empty a slot."""
        self._lengths[slot] = 0
        self.draws.clear(slot)

    @torch.inference_mode()
    def draw(self) -> tuple[list[int], list[float]]:
        """The next token of each slot and its log-probability; an empty slot's mean nothing."""
        tokens_S, logprobs_S = draw(self._logits_SV, self.draws)
        self.draws.steps_S[:] += 1
        return tokens_S.tolist(), logprobs_S.tolist()

    @torch.inference_mode()
    def advance(self, tokens: list[int]) -> None:
        """Feed each slot its drawn token; afterwards the next ones can be drawn."""
        cache, device = self._cache, self.loaded.device
        assert cache is not None
        cache.attended = self._rounded(max(self._lengths) + 1)
        cache.reserve(cache.attended)
        cache.positions_S = torch.tensor(self._lengths, device=device)
        seen_SL = torch.arange(cache.attended, device=device)[None, :] <= cache.positions_S[:, None]
        mask_SL = torch.zeros(seen_SL.shape, dtype=self.loaded.model.dtype, device=device)
        mask_SL = mask_SL.masked_fill_(~seen_SL, -torch.inf)
        self._logits_SV = (
            self.loaded.model(
                input_ids=torch.tensor(tokens, device=device)[:, None],
                attention_mask=mask_SL[:, None, None, :],
                position_ids=cache.positions_S[:, None],
                past_key_values=cache,
                use_cache=True,
            )
            .logits[:, -1]
            .float()
        )
        self._lengths = [length + 1 if length else 0 for length in self._lengths]

    def _rounded(self, tokens: int) -> int:
        return -(-tokens // self.bucket_tokens) * self.bucket_tokens
