"""The keys and values of every slot on a GPU: one block a layer, token t of a slot at index t, and
a decode step reads of each slot what it has. Nothing of a step is known to the host alone, so that
a step can be replayed as a graph.

Axes: S slots, C capacity of a slot in tokens, H heads of queries, K heads of keys and values, L
length, D width of a head.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from roundsmith.generator.cache import BlockLayer, attention_layers, keys_and_values

NAME = "roundsmith_slots"
"""What a model's configuration calls it; transformers takes a name with `flash` in it for its own.
"""
_FIRST_TOKENS = 256
"""Capacity of a slot at first: another one is another graph."""


@dataclass(frozen=True, slots=True)
class Slots:
    """What attention is told of a step: where each slot begins among the tokens that ask and among
    those of the block, [S + 1], how many of its own tokens a slot sees, [S], and the capacity.
    """

    begins_of_queries: torch.Tensor
    begins_of_keys: torch.Tensor
    seen_S: torch.Tensor
    capacity: int


class FlashLayer(BlockLayer):  # type: ignore[no-untyped-call]  # transformers' own hook
    """One layer's block, [S, C, K, D]. `update` writes one token a slot, at its own place."""

    def __init__(self, owner: "FlashCache", like: CacheLayerMixin) -> None:
        keys, values = keys_and_values(like)
        super().__init__(owner.empty(keys), owner.empty(values))
        self.owner: FlashCache = weakref.proxy(owner)  # else a cycle keeps both until a full GC

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        owner, (keys, values) = self.owner, keys_and_values(self)
        keys[owner.rows_S, owner.positions_S] = key_states[:, :, 0]
        values[owner.rows_S, owner.positions_S] = value_states[:, :, 0]
        return keys, values

    def fill(self, slot: int, like: CacheLayerMixin, row: int, tokens: int) -> None:
        """Put a prompt's keys and values at the start of a slot."""
        for mine, its in zip(keys_and_values(self), keys_and_values(like), strict=True):
            mine[slot, :tokens] = its[row, :, :tokens].transpose(0, 1)

    def grow(self) -> None:
        """Make room for the owner's capacity, keeping what is there."""
        grown = []
        for before in keys_and_values(self):
            after = before.new_zeros(before.shape[0], self.owner.capacity, *before.shape[2:])
            after[:, : before.shape[1]] = before
            grown.append(after)
        self.keys, self.values = grown

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        raise AssertionError("a step brings its mask")

    def get_seq_length(self) -> int:
        raise AssertionError("a step brings its positions")


class FlashCache(Cache):
    """The cache of all slots, shaped like the first prompt's and grown by doubling."""

    def __init__(self, slots: int, like: DynamicCache, context_tokens: int) -> None:
        """No slot is longer than `context_tokens`."""
        keys, _ = keys_and_values(attention_layers(like)[0])
        self.slots, self.context_tokens, device = slots, context_tokens, keys.device
        self.capacity = min(_FIRST_TOKENS, context_tokens)
        self.rows_S = torch.arange(slots, device=device)
        self.positions_S = torch.zeros(slots, dtype=torch.long, device=device)
        self._seen_S = torch.ones(slots, dtype=torch.int32, device=device)
        self._begins_of_queries = torch.arange(slots + 1, dtype=torch.int32, device=device)
        self._begins_of_keys = self._begins_of_queries * self.capacity
        self._mask_1111 = torch.zeros(1, 1, 1, 1, dtype=keys.dtype, device=device)
        super().__init__(layers=[FlashLayer(self, one) for one in attention_layers(like)])

    def empty(self, like_1KLD: torch.Tensor) -> torch.Tensor:
        """A block like a prompt's keys."""
        _, heads, _, width = like_1KLD.shape
        return like_1KLD.new_zeros(self.slots, self.capacity, heads, width)

    def fill(self, slot: int, like: DynamicCache, row: int, tokens: int) -> None:
        """Put a prompt into a slot."""
        self._reserve(tokens)
        for mine, its in zip(self._flash_layers(), attention_layers(like), strict=True):
            mine.fill(slot, its, row, tokens)

    def release(self, slot: int) -> None:
        """Empty a slot, whose block stays as it is."""

    def step(self, lengths: Sequence[int]) -> dict[str, object]:
        """Makes room for one more token a slot, at the index that is its length; what the model is
        given beside the tokens, the same tensors at each step of one capacity.
        """
        self._reserve(max(lengths) + 1)
        self.positions_S.copy_(torch.tensor(lengths))
        torch.add(self.positions_S, 1, out=self._seen_S)
        slots = Slots(self._begins_of_queries, self._begins_of_keys, self._seen_S, self.capacity)
        return {"attention_mask": self._mask_1111, "slots": slots}

    def _reserve(self, tokens: int) -> None:
        if tokens > self.capacity:
            while tokens > self.capacity:
                self.capacity = max(tokens, min(2 * self.capacity, self.context_tokens))
            self._begins_of_keys = self._begins_of_queries * self.capacity
            for layer in self._flash_layers():
                layer.grow()

    def _flash_layers(self) -> list[FlashLayer]:
        return [layer for layer in self.layers if isinstance(layer, FlashLayer)]


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    slots: Slots | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer; `slots` is handed through the model at a decode
    step, and a prompt is left to torch.
    """
    if slots is None:
        seen, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return seen, None
    seen_SHD, *_ = torch.ops.aten._flash_attention_forward(
        query[:, :, 0],
        key.flatten(0, 1),
        value.flatten(0, 1),
        slots.begins_of_queries,
        slots.begins_of_keys,
        1,
        slots.capacity,
        0.0,  # dropout
        False,
        False,
        scale=scaling,
        seqused_k=slots.seen_S,
    )
    return seen_SHD[:, None], None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
