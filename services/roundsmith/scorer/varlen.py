"""Attention of a pass on a GPU: all its texts in one call of the flash kernel, which takes them by
where each begins, and works each off in tiles counted from there. So a text's numbers do not depend
on its neighbours. Keys and values that later passes see lie in a block a layer, a place a token.

Axes: T places of a pass, N keys of all its texts, R of them that were computed earlier, W that are
kept for later, P places that hold some, H heads of queries, K
heads of keys and values, D width of a head, E of a key and a value.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import torch

from roundsmith.scorer.chains import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 1024
"""It grows by so many places at least."""


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
        self._num_places = 0
        self.token_bytes = 0
        """Of one token's keys and values in all layers seen so far."""

    def take(self, num: int) -> Places:
        """So many places."""
        if len(self._free) < num:
            more = -(-(num - len(self._free)) // _BLOCK) * _BLOCK
            self._free += range(self._num_places, self._num_places + more)
            self._num_places += more
        taken = self._free[-num:]
        del self._free[-num:]
        return Places(np.array(taken, np.int64), self)

    def free(self, numbers: "NDArray[np.int64]") -> None:
        """Places that hold nothing of use any more."""
        self._free += numbers.tolist()

    def block(self, layer: int, like_TKE: torch.Tensor) -> torch.Tensor:
        """A layer's keys and values, [P, K, E], shaped like those of a pass."""
        found = self._blocks.get(layer)
        if found is None or len(found) < self._num_places:
            grown_PKE = like_TKE.new_zeros(self._num_places, *like_TKE.shape[1:])
            if found is None:
                self.token_bytes += grown_PKE[0].nbytes
            else:
                grown_PKE[: len(found)] = found
            self._blocks[layer] = found = grown_PKE
        return found


class VarlenAttention:
    """The attention of one pass, handed to every layer; what fills the pass up is a text too. Takes
    places for what later passes see, so it is made once, in the order of the passes.
    """

    def __init__(
        self, runs: Sequence[Run], tokens: int, block: int, kept: KeptKeys, device: torch.device
    ) -> None:
        """`tokens` is T, of which the runs are the first; the rest are texts of `block` tokens."""
        self._kept = kept
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
        self._longest_q, self._longest_k = max(nums_q), max(nums_k)
        self._begins_q, self._begins_k = _begins(nums_q, device), _begins(nums_k, device)
        self._read_R = _on(device, read)
        self._order_N = _on(device, order if read else [])
        self._wrote_W, self._into_W = _on(device, wrote), _on(device, into)

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
            self._longest_q,
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


def _begins(nums: Sequence[int], device: torch.device) -> torch.Tensor:
    return torch.tensor([0, *accumulate(nums)], dtype=torch.int32, device=device)


def _on(device: torch.device, parts: Sequence["NDArray[np.int64]"]) -> torch.Tensor:
    whole = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    return torch.from_numpy(whole).to(device)
