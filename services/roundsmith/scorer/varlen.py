"""Attention of a pass on a GPU: all its texts in one call of the flash kernel, which takes them by
where each begins, and works each off in tiles counted from there. So a text's numbers do not depend
on its neighbours. Keys and values that later passes see lie in a block a layer, a place a token.

Axes: T places of a pass, N keys of all its texts, R of them that were computed earlier, W that are
kept for later, P places that hold some, H heads of queries, K
heads of keys and values, D width of a head, E of a key and a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from roundsmith.scorer.chains import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK, _SHARE = 1024, 8
"""It grows by so many places at least, and by such a part of itself: graphs do not follow it."""
_TEXTS, _LONGEST, _READ = 64, 256, 1024
"""The least sizes that passes have in common."""


class Places:
    """Places of some tokens, in their order; free again when nobody holds this any more."""

    def __init__(self, numbers: "NDArray[np.int64]", kept: "KeptKeys") -> None:
        self.numbers = numbers
        self._kept = kept

    def __del__(self) -> None:
        self._kept.free(self.numbers)

    @property
    def num_bytes(self) -> int:
        """Of the keys and values of all layers."""
        return len(self.numbers) * self._kept.token_bytes


class KeptKeys:
    """Keys and values by layer of the tokens that later passes see, side by side in one block.
    Not safe for several threads.

    It grows to what was held at once: the prompts that are kept for later, and what two passes
    that follow each other go on with. It never shrinks.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, torch.Tensor] = {}
        self._free: list[int] = []
        self.num_places = 0
        """Places that the blocks have, or will have after `make_room`."""
        self.token_bytes = 0
        """Of one token's keys and values in all layers seen so far."""

    def take(self, num: int) -> Places:
        """So many places."""
        if len(self._free) < num:
            least = max(num - len(self._free), self.num_places // _SHARE)
            more = -(-least // _BLOCK) * _BLOCK
            self._free += range(self.num_places, self.num_places + more)
            self.num_places += more
        taken = self._free[-num:]
        del self._free[-num:]
        return Places(np.array(taken, np.int64), self)

    def free(self, numbers: "NDArray[np.int64]") -> None:
        """Places that hold nothing of use any more."""
        self._free += numbers.tolist()

    def make_room(self) -> None:
        """Blocks for all that is taken, of every layer seen so far; they may move for it."""
        for layer, block_PKE in self._blocks.items():
            self.block(layer, block_PKE)

    def block(self, layer: int, like_TKE: torch.Tensor) -> torch.Tensor:
        """A layer's keys and values, [P, K, E], shaped like those of a pass."""
        found = self._blocks.get(layer)
        if found is None or len(found) < self.num_places:
            grown_PKE = like_TKE.new_zeros(self.num_places, *like_TKE.shape[1:])
            if found is None:
                self.token_bytes += grown_PKE[0].nbytes
            else:
                grown_PKE[: len(found)] = found
            self._blocks[layer] = found = grown_PKE
        return found


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of what the attention of a pass is told: so many that others are, too. What is too many
    repeats something, or is a text without tokens.
    """

    texts: int
    longest: int
    """Queries of a text."""
    kept: int
    read: int


class Layout:
    """Where the texts of a pass lie, and what each sees; what fills the pass up is a text too.
    Takes places for what later passes see, so it is made once, in the order of the passes.
    """

    def __init__(self, runs: Sequence[Run], tokens: int, block: int, kept: KeptKeys) -> None:
        """`tokens` is T, of which the runs are the first; the rest are texts of `block` tokens."""
        order: list[NDArray[np.int64]] = []
        """By text, where its keys lie among those of the pass and those that are read, in turn."""
        read: list[NDArray[np.int64]] = []
        wrote: list[NDArray[np.int64]] = []
        into: list[NDArray[np.int64]] = []
        nums_q: list[int] = []
        nums_k: list[int] = []
        num_read = 0
        for run in runs:
            for places in run.chain.places_before():
                read.append(places.numbers)
                order.append(np.arange(len(places.numbers)) + tokens + num_read)
                num_read += len(places.numbers)
            nums_q.append(run.stop - run.start)
            nums_k.append(run.chain.before + run.stop)
            order.append(np.arange(run.at, run.at + nums_q[-1]))
            if run.keeps:
                run.chain.places.append(kept.take(nums_q[-1]))
                wrote.append(order[-1])
                into.append(run.chain.places[-1].numbers)
        filled = sum(nums_q)
        order.append(np.arange(filled, tokens))
        filling = [min(block, tokens - at) for at in range(filled, tokens, block)]
        nums_q += filling
        nums_k += filling
        self.sizes = sizes = Sizes(
            _at_least(len(nums_q), _TEXTS, 2),
            min(_at_least(max(nums_q), _LONGEST, 2), tokens),
            tokens if wrote else 0,
            _at_least(num_read, _READ, 4),
        )
        self.numbers = np.concatenate(
            [
                _begins(nums_q, sizes.texts),
                _begins(nums_k, sizes.texts),
                _filled_up(wrote, sizes.kept),
                _filled_up(into, sizes.kept),
                _filled_up(read, sizes.read),
                _filled_up(order, tokens + sizes.read if read else 0),
            ]
        )
        """All of it, for `VarlenAttention` to take apart."""


class VarlenAttention:
    """The attention of one pass, handed to every layer."""

    def __init__(self, numbers: torch.Tensor, sizes: Sizes, tokens: int, kept: KeptKeys) -> None:
        """`numbers` are those of a layout of these sizes, of T = `tokens` places."""
        self._kept, self._sizes = kept, sizes
        begins, saved = sizes.texts + 1, sizes.kept
        parts = [begins, begins, saved, saved, sizes.read, tokens + sizes.read if sizes.read else 0]
        begins_q, begins_k, *indices = torch.split(numbers, parts)
        self._begins_q, self._begins_k = begins_q.int(), begins_k.int()
        self._wrote_W, self._into_W, self._read_R, self._order_N = indices
        self._longest_k = tokens + sizes.read

    def attend(
        self,
        layer: int,
        query_1HTD: torch.Tensor,
        key_1KTD: torch.Tensor,
        value_1KTD: torch.Tensor,
        scale: float | None,
    ) -> torch.Tensor:
        """What each place sees, [1, T, H, D]."""
        query_THD, key_TKD, value_TKD = (
            part[0].transpose(0, 1) for part in (query_1HTD, key_1KTD, value_1KTD)
        )
        key_NKD, value_NKD = self._seen(layer, key_TKD, value_TKD)
        seen_THD: torch.Tensor
        seen_THD, *_ = torch.ops.aten._flash_attention_forward(
            query_THD,
            key_NKD,
            value_NKD,
            self._begins_q,
            self._begins_k,
            self._sizes.longest,
            self._longest_k,
            0.0,  # dropout
            True,  # causal: the last query sees the last key
            False,
            scale=scale,
        )
        return seen_THD[None]

    def _seen(
        self, layer: int, key_TKD: torch.Tensor, value_TKD: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values text by text, each behind what was computed of it earlier; keeps what
        later passes see.
        """
        if not len(self._into_W) and not len(self._read_R):
            return key_TKD, value_TKD
        both_TKE = torch.cat([key_TKD, value_TKD], dim=-1)
        block_PKE = self._kept.block(layer, both_TKE)
        if len(self._into_W):
            block_PKE.index_copy_(0, self._into_W, both_TKE.index_select(0, self._wrote_W))
        if not len(self._read_R):
            return key_TKD, value_TKD
        earlier_RKE = block_PKE.index_select(0, self._read_R)
        both_NKE = torch.cat([both_TKE, earlier_RKE]).index_select(0, self._order_N)
        width = key_TKD.shape[-1]
        return both_NKE[..., :width], both_NKE[..., width:]


def _at_least(num: int, least: int, times: int) -> int:
    """The first of least, least * times, ... that is not below `num`; none is 0."""
    found = least if num else 0
    while found < num:
        found *= times
    return found


def _begins(nums: Sequence[int], texts: int) -> "NDArray[np.int64]":
    """Where each text begins, [texts + 1]; those that there are not have no tokens."""
    begins = np.full(texts + 1, sum(nums), np.int64)
    begins[: len(nums)] = np.cumsum([0, *nums[:-1]])
    return begins


def _filled_up(parts: "Sequence[NDArray[np.int64]]", num: int) -> "NDArray[np.int64]":
    """So many numbers: those of the parts, and the last of them again."""
    if not num:
        return np.zeros(0, np.int64)
    whole = np.concatenate(parts)
    return np.concatenate([whole, np.full(num - len(whole), whole[-1])])
