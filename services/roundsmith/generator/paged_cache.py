"""The keys and values of every slot in pages: a decode step reads those that a row has, and no row
is as long as the longest.

Axes: S slots, H heads, P pages, N pages of a slot, B tokens of a page, L length, D width of a head.
"""

import weakref
from collections.abc import Sequence
from itertools import chain

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache

from roundsmith.generator.cache import BlockLayer, attention_layers, keys_and_values
from roundsmith.generator.pages import PageTable


class PagedLayer(BlockLayer):  # type: ignore[no-untyped-call]  # transformers' own hook
    """One layer's pages. `update` writes one token a slot, and returns all pages in use."""

    def __init__(self, owner: "PagedCache", like: CacheLayerMixin, num_pages: int) -> None:
        keys, values = keys_and_values(like)
        at = owner.table.page_tokens
        super().__init__(_empty(keys, num_pages, at), _empty(values, num_pages, at))
        self.owner: PagedCache = weakref.proxy(owner)  # else a cycle keeps both until a full GC

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        owner, (keys, values) = self.owner, keys_and_values(self)
        keys[owner.pages_S, :, owner.places_S] = key_states[:, :, 0]
        values[owner.pages_S, :, owner.places_S] = value_states[:, :, 0]
        return keys[: owner.num_used], values[: owner.num_used]

    def fill(self, pages: Sequence[int], like: CacheLayerMixin, row: int, tokens: int) -> None:
        """Put a prompt's keys and values into so many pages."""
        for mine, its in zip(keys_and_values(self), keys_and_values(like), strict=True):
            _write(mine, pages, its[row, :, :tokens])

    def clear(self, pages: Sequence[int]) -> None:
        """Forget what was in pages."""
        for mine in keys_and_values(self):
            mine[pages] = 0

    def reserve(self, num_pages: int) -> None:
        """Make room for so many pages, keeping what is there."""
        keys, values = keys_and_values(self)
        self.keys, self.values = _grown(keys, num_pages), _grown(values, num_pages)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        raise AssertionError("a step brings its mask")

    def get_seq_length(self) -> int:
        raise AssertionError("a step brings its positions")


class PagedCache(Cache):
    """The cache of all slots, shaped like the first prompt's and grown by doubling."""

    def __init__(self, slots: int, like: DynamicCache, page_tokens: int) -> None:
        self.table = PageTable(slots, page_tokens)
        self.num_used = self._num_pages = slots
        self.pages_S = torch.arange(slots)
        self.places_S = torch.zeros(slots, dtype=torch.long)
        super().__init__(layers=[PagedLayer(self, one, slots) for one in attention_layers(like)])

    def fill(self, slot: int, like: DynamicCache, row: int, tokens: int) -> None:
        """Put a prompt into a slot."""
        self.table.release(slot)
        self.table.hold(slot, tokens)
        self._reserve()
        pages = self.table.pages(slot)
        for mine, its in zip(self._paged_layers(), attention_layers(like), strict=True):
            mine.fill(pages, its, row, tokens)

    def release(self, slot: int) -> None:
        """Empty a slot."""
        self.table.release(slot)

    def step(self, lengths: Sequence[int]) -> dict[str, object]:
        """Makes room for one more token a slot, at the index that is its length; what the model is
        given beside the tokens.
        """
        fresh = [self.table.hold(slot, length + 1) for slot, length in enumerate(lengths)]
        self._reserve()
        if taken := list(chain.from_iterable(fresh)):
            for layer in self._paged_layers():
                layer.clear(taken)
        at = self.table.page_tokens
        self.pages_S = torch.tensor([self.table.pages(s)[n // at] for s, n in enumerate(lengths)])
        self.places_S = torch.tensor([length % at for length in lengths])
        pages = self.table.attended(lengths)
        return {"attention_mask": pages.mask_P11B, "pages": pages}

    def _reserve(self) -> None:
        self.num_used = self.table.num_used
        if self.num_used > self._num_pages:
            self._num_pages = max(self.num_used, 2 * self._num_pages)
            for layer in self._paged_layers():
                layer.reserve(self._num_pages)

    def _paged_layers(self) -> list[PagedLayer]:
        return [layer for layer in self.layers if isinstance(layer, PagedLayer)]


def _empty(like_1HLD: torch.Tensor, num_pages: int, page_tokens: int) -> torch.Tensor:
    _, heads, _, width = like_1HLD.shape
    return torch.zeros(num_pages, heads, page_tokens, width, dtype=like_1HLD.dtype)


def _write(block_PHBD: torch.Tensor, pages: Sequence[int], prompt_HLD: torch.Tensor) -> None:
    heads, tokens, width = prompt_HLD.shape
    page_tokens = block_PHBD.shape[2]
    whole_HLD = prompt_HLD.new_zeros(heads, len(pages) * page_tokens, width)
    whole_HLD[:, :tokens] = prompt_HLD
    block_PHBD[pages] = whole_HLD.view(heads, -1, page_tokens, width).transpose(0, 1)


def _grown(block_PHBD: torch.Tensor, num_pages: int) -> torch.Tensor:
    grown_PHBD = block_PHBD.new_zeros(num_pages, *block_PHBD.shape[1:])
    grown_PHBD[: block_PHBD.shape[0]] = block_PHBD
    return grown_PHBD
