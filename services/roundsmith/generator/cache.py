"""The keys and values of every slot where a model attends as transformers has it: one preallocated
block a layer, token t of a row at index t, and all rows are read as far as the longest.

Axes: S slots, H heads, L attended length, D width of a head.
"""

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache

if TYPE_CHECKING:
    from collections.abc import Iterator


class BlockLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]  # transformers' own hook
    """A layer whose keys and values lie in blocks that are made before the first token. Where no
    token is yet they hold 0, because 0 × whatever lies beyond a row's end must be 0.
    """

    is_sliding = False

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers is half typed
        self.keys, self.values = keys, values
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        raise AssertionError("a layer of blocks is made whole")

    def get_max_length(self) -> int:
        return -1


def keys_and_values(layer: CacheLayerMixin) -> tuple[torch.Tensor, torch.Tensor]:
    """What a layer keeps that has seen a token."""
    assert layer.keys is not None
    assert layer.values is not None
    return layer.keys, layer.values


class SlotLayer(BlockLayer):  # type: ignore[no-untyped-call]  # transformers' own hook
    """One layer's block. `update` writes one token a row, at that row's own position."""

    def __init__(self, owner: "SlotCache", like: CacheLayerMixin, capacity: int) -> None:
        keys, values = keys_and_values(like)
        super().__init__(_block(keys, owner.slots, capacity), _block(values, owner.slots, capacity))
        self.owner: SlotCache = weakref.proxy(owner)  # else a cycle keeps both until a full GC

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        owner, (keys, values) = self.owner, keys_and_values(self)
        keys[owner.rows_S, :, owner.positions_S] = key_states[:, :, 0]
        values[owner.rows_S, :, owner.positions_S] = value_states[:, :, 0]
        return keys[:, :, : owner.attended], values[:, :, : owner.attended]

    def fill(self, slot: int, like: CacheLayerMixin, row: int, tokens: int) -> None:
        """Put a prompt's keys and values at the start of a row, and nothing after them."""
        for mine, its in zip(keys_and_values(self), keys_and_values(like), strict=True):
            mine[slot, :, :tokens] = its[row, :, :tokens]
            mine[slot, :, tokens:] = 0

    def grow(self, capacity: int) -> None:
        """Make room for longer rows, keeping what is there."""
        keys, values = keys_and_values(self)
        self.keys, self.values = _grown(keys, capacity), _grown(values, capacity)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.owner.attended, 0

    def get_seq_length(self) -> int:
        return self.owner.attended


class SlotCache(Cache):
    """The cache of all slots, shaped like the first prompt's and grown by doubling."""

    def __init__(self, slots: int, like: DynamicCache, bucket_tokens: int) -> None:
        """Rows are read up to a multiple of `bucket_tokens`."""
        keys, _ = keys_and_values(attention_layers(like)[0])
        device, self._dtype = keys.device, keys.dtype
        self.slots = slots
        self._bucket_tokens = self.capacity = bucket_tokens
        self.attended = 0
        self.rows_S = torch.arange(slots, device=device)
        self.positions_S = torch.zeros(slots, dtype=torch.long, device=device)
        super().__init__(
            layers=[SlotLayer(self, layer, bucket_tokens) for layer in attention_layers(like)]
        )

    def fill(self, slot: int, like: DynamicCache, row: int, tokens: int) -> None:
        """Put a prompt into a slot."""
        self._reserve(tokens)
        for mine, its in zip(self._slot_layers(), attention_layers(like), strict=True):
            mine.fill(slot, its, row, tokens)

    def release(self, slot: int) -> None:
        """Empty a slot, whose row stays as it is."""

    def step(self, lengths: Sequence[int]) -> dict[str, object]:
        """Makes room for one more token a slot, at the index that is its length; what the model is
        given beside the tokens.
        """
        device = self.positions_S.device
        self.attended = self._rounded(max(lengths) + 1)
        self._reserve(self.attended)
        self.positions_S = torch.tensor(lengths, device=device)
        seen_SL = torch.arange(self.attended, device=device)[None, :] <= self.positions_S[:, None]
        mask_SL = torch.zeros(seen_SL.shape, dtype=self._dtype, device=device)
        mask_SL = mask_SL.masked_fill_(~seen_SL, -torch.inf)
        return {"attention_mask": mask_SL[:, None, None, :]}

    def _rounded(self, tokens: int) -> int:
        return -(-tokens // self._bucket_tokens) * self._bucket_tokens

    def _reserve(self, tokens: int) -> None:
        tokens = self._rounded(tokens)
        if tokens > self.capacity:
            self.capacity = max(tokens, 2 * self.capacity)
            for layer in self._slot_layers():
                layer.grow(self.capacity)

    def _slot_layers(self) -> "Iterator[SlotLayer]":
        for layer in self.layers:
            assert isinstance(layer, SlotLayer)
            yield layer


def attention_layers(cache: Cache) -> list[CacheLayerMixin]:
    """The layers of a cache that keep keys and values."""
    return [layer for layer in cache.layers if isinstance(layer, CacheLayerMixin)]


def _block(like_1HLD: torch.Tensor, slots: int, capacity: int) -> torch.Tensor:
    _, heads, _, width = like_1HLD.shape
    return torch.zeros(
        slots, heads, capacity, width, dtype=like_1HLD.dtype, device=like_1HLD.device
    )


def _grown(block_SHLD: torch.Tensor, capacity: int) -> torch.Tensor:
    grown_SHLD = _block(block_SHLD, block_SHLD.shape[0], capacity)
    grown_SHLD[:, :, : block_SHLD.shape[2]] = block_SHLD
    return grown_SHLD
