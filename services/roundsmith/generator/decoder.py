"""The arithmetic of continuous batching: prompts go in, then all slots advance together.

A prompt is padded at its end to a length that follows from its own, beside a fixed number of rows;
a decode step has all slots as rows, and a row attends to its own tokens only. So a row's numbers do
not depend on what else is running. Axes: S slots, V vocabulary, L length, P prompts.
"""

from dataclasses import dataclass
from inspect import signature

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from roundsmith.errors import ConfigError
from roundsmith.generator import attention, flash_cache
from roundsmith.generator.cache import SlotCache
from roundsmith.generator.flash_cache import FlashCache
from roundsmith.generator.lora import Lora, LoraRows
from roundsmith.generator.paged_cache import PagedCache
from roundsmith.generator.penalties import Penalty
from roundsmith.generator.sampling import Drawn, Draws, draw
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.generator.step import Step
from roundsmith.models.loading import LoadedModel

SEVERAL_ROWS = 8


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prompt's keys and values, and the logits after it: what its completions share."""

    cache: DynamicCache
    row: int
    logits_V: torch.Tensor
    tokens: int


class Decoder:
    """The slots of one loaded model. Not safe for several threads."""

    def __init__(self, loaded: LoadedModel, settings: GeneratorSettings) -> None:
        self.loaded = loaded
        self.slots = settings.slots
        self.prefill_rows = settings.prefill_rows or _prefill_rows(loaded)
        self._keeps = "logits_to_keep" in signature(loaded.model.forward).parameters
        self.bucket_tokens = settings.bucket_tokens
        self.draws = Draws.idle(self.slots)
        self.penalties: dict[int, Penalty] = {}
        self.loras_S: list[Lora | None] = [None] * self.slots
        self._lora_rows = LoraRows(loaded.model)
        self._lengths = [0] * self.slots
        self._logits_SV = torch.zeros(self.slots, loaded.vocabulary, device=loaded.device)
        self._cache: SlotCache | PagedCache | FlashCache | None = None
        self._step = Step(loaded)

    def padded(self, tokens: int) -> int:
        """The length that a prompt is computed at: its own, or rounded up to go with others."""
        if self.prefill_rows == 1:
            return tokens
        return min(self._rounded(tokens), self.loaded.context_tokens)

    @torch.inference_mode()
    def prefill(self, prompts: list[list[int]], loras: list[Lora | None]) -> list[Prefix]:
        """Run at most `prefill_rows` prompts of one padded length, each in a row and with an
        adapter of its own.

        ConfigError for a model whose layers keep more than keys and values.
        """
        (length,) = {self.padded(len(ids)) for ids in prompts}
        inputs_PL = torch.zeros(self.prefill_rows, length, dtype=torch.long)
        lasts_P = torch.zeros(self.prefill_rows, dtype=torch.long)
        for row, ids in enumerate(prompts):
            inputs_PL[row, : len(ids)] = torch.tensor(ids)
            lasts_P[row] = len(ids) - 1
        cache, device = DynamicCache(), self.loaded.device
        self._lora_rows.use([*loras, *[None] * (self.prefill_rows - len(loras))], device)
        kept = {"logits_to_keep": lasts_P.to(device)} if self._keeps else {}
        logits = self.loaded.model(
            input_ids=inputs_PL.to(device), past_key_values=cache, use_cache=True, **kept
        ).logits
        if not all(isinstance(layer, DynamicLayer) for layer in cache.layers):
            raise ConfigError(
                f"{self.loaded.folder.name}: saw layers that keep a recurrent state, expected "
                "attention layers: serve this model with another engine"
            )
        # of the kept positions of every row, row r's own is the r-th
        at = [r if self._keeps else len(ids) - 1 for r, ids in enumerate(prompts)]
        return [
            Prefix(cache, r, logits[r, at[r]].float(), len(ids)) for r, ids in enumerate(prompts)
        ]

    @torch.inference_mode()
    def admit(self, slot: int, prefix: Prefix) -> None:
        """Put a prompt into a slot, ready to draw its first token."""
        if self._cache is None:
            self._cache = self._made_like(prefix.cache)
        self._cache.fill(slot, prefix.cache, prefix.row, prefix.tokens)
        self._logits_SV[slot] = prefix.logits_V
        self._lengths[slot] = prefix.tokens

    def release(self, slot: int) -> None:
        """Empty a slot."""
        if self._cache is not None:
            self._cache.release(slot)
        self._lengths[slot] = 0
        self.draws.clear(slot)
        self.penalties.pop(slot, None)
        self.loras_S[slot] = None

    def logits(self, slot: int) -> bytes:
        """What a slot's next token is drawn from, as it lies in memory."""
        return self._logits_SV[slot].cpu().numpy().tobytes()

    @torch.inference_mode()
    def draw(self) -> Drawn:
        """The next token of each slot; an empty slot's means nothing."""
        drawn = draw(self._logits_SV, self.draws, self.penalties)
        self.draws.steps_S[:] += 1
        for slot, penalty in self.penalties.items():
            penalty.add(drawn.tokens[slot])
        return drawn

    @torch.inference_mode()
    def advance(self, tokens: list[int]) -> None:
        """Feed each slot its drawn token; afterwards the next ones can be drawn."""
        assert self._cache is not None
        self._lora_rows.use(self.loras_S, self.loaded.device)
        adapted = any(lora is not None for lora in self.loras_S)
        self._logits_SV = self._step.run(self._cache, tokens, self._lengths, plain=adapted)
        self._lengths = [length + 1 if length else 0 for length in self._lengths]

    def _made_like(self, cache: DynamicCache) -> SlotCache | PagedCache | FlashCache:
        chosen = self.loaded.model.config._attn_implementation
        if chosen == flash_cache.NAME:
            return FlashCache(self.slots, cache, self.loaded.context_tokens)
        made = PagedCache if chosen == attention.NAME else SlotCache
        return made(self.slots, cache, self.bucket_tokens)

    def _rounded(self, tokens: int) -> int:
        return -(-tokens // self.bucket_tokens) * self.bucket_tokens


def _prefill_rows(loaded: LoadedModel) -> int:
    """A large model keeps a CPU busy with one prompt, and would waste much on empty rows."""
    return SEVERAL_ROWS if loaded.is_small or loaded.device.type == "cuda" else 1
