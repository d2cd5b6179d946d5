"""Which pages of keys and values belong to which slot, and what of them a decode step attends to.

Axes: S slots, P pages in use, N pages that are owned, B tokens of a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import torch

_FREE = -1
"""The number within its slot of a page that nobody owns: all its tokens are before the last."""


@dataclass(frozen=True, slots=True)
class Pages:
    """What attention is told of the pages of one step: the slot that asks each page, which of its
    tokens exist (0, else -inf, to be added to scores), and slot by slot the pages that it owns, in
    the order of their tokens, with where each slot's begin.
    """

    slots_P: torch.Tensor
    mask_P11B: torch.Tensor
    owned_N: torch.Tensor
    begins_S: torch.Tensor


class PageTable:
    """Pages by slot. Slot s always owns page s, so that every slot has something to attend to; the
    others it takes from those that are free, the lowest first.
    """

    def __init__(self, slots: int, page_tokens: int) -> None:
        self.page_tokens = page_tokens
        self._pages_by_slot = [[slot] for slot in range(slots)]
        self._free: list[int] = []
        self._num_made = slots
        self._changed = True

    @property
    def num_used(self) -> int:
        """All pages in use come before this one. A multiple of the number of slots, so that
        products of few shapes are computed.
        """
        slots = len(self._pages_by_slot)
        highest = max(map(max, self._pages_by_slot))
        return (highest // slots + 1) * slots

    def pages(self, slot: int) -> list[int]:
        """What a slot owns, in the order of its tokens."""
        return self._pages_by_slot[slot]

    def hold(self, slot: int, tokens: int) -> list[int]:
        """Gives a slot the pages that so many tokens need beyond those it owns; returns these."""
        owned = self._pages_by_slot[slot]
        taken: list[int] = []
        while len(owned) + len(taken) < -(-tokens // self.page_tokens):
            taken.append(heappop(self._free) if self._free else self._num_made)
            self._num_made = max(self._num_made, taken[-1] + 1)
        owned += taken
        self._changed |= bool(taken)
        return taken

    def release(self, slot: int) -> None:
        """Takes from a slot all pages but its own."""
        owned = self._pages_by_slot[slot]
        for page in owned[1:]:
            heappush(self._free, page)
        self._changed |= len(owned) > 1
        del owned[1:]

    def attended(self, lengths: Sequence[int]) -> Pages:
        """What a step attends to that writes each slot's token at the index `lengths`."""
        if self._changed:
            self._number()
        seen_P = np.array(lengths)[self._slots_P] + 1 - self.page_tokens * self._numbers_P
        unseen_PB = np.arange(self.page_tokens)[None, :] >= seen_P[:, None]
        mask_PB = np.where(unseen_PB, np.float32("-inf"), np.float32(0))
        return Pages(
            torch.from_numpy(self._slots_P),
            torch.from_numpy(mask_PB)[:, None, None, :],
            self._owned_N,
            self._begins_S,
        )

    def _number(self) -> None:
        self._slots_P = np.zeros(self.num_used, np.int64)
        self._numbers_P = np.full(self.num_used, _FREE)
        for slot, pages in enumerate(self._pages_by_slot):
            self._slots_P[pages] = slot
            self._numbers_P[pages] = range(len(pages))
        counts = [len(pages) for pages in self._pages_by_slot]
        self._owned_N = torch.tensor([p for pages in self._pages_by_slot for p in pages])
        self._begins_S = torch.tensor([0, *counts[:-1]]).cumsum(0)
        self._changed = False
