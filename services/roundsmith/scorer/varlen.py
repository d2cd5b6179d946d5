"""Attention of a pass on a GPU: all its texts in one call of the flash kernel, which takes them by
where each begins, and works each off in tiles counted from there. So a text's numbers do not depend
on its neighbours. Keys and values that later passes see lie in a block a layer, a place a token.

Axes: T places of a pass, N keys of all its texts, P places that are kept, H heads of queries, K
heads of keys and values, D width of a head.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from roundsmith.scorer.chains import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST_PLACES = 4096


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
    """Keys and values by layer of the tokens that later passes see. Not safe for several threads.

    It grows by doubling to what was held at once, and never shrinks.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._free: list[int] = []
        self._num_places = 0

    @property
    def token_bytes(self) -> int:
        """Of one token's keys and values in all layers."""
        pairs = self._blocks.values()
        return sum(part[0].nbytes for pair in pairs for part in pair if len(part))

    def take(self, num: int) -> Places:
        """So many places."""
        if len(self._free) < num:
            more = max(num, self._num_places, _FIRST_PLACES)
            self._free += range(self._num_places, self._num_places + more)
            self._num_places += more
        taken = self._free[-num:]
        del self._free[-num:]
        return Places(np.array(taken, np.int64), self)

    def free(self, numbers: "NDArray[np.int64]") -> None:
        """Places that hold nothing of use any more."""
        self._free += numbers.tolist()

    def blocks(
        self, layer: int, key_TKD: torch.Tensor, value_TKD: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A layer's keys and values, [P, K, D], shaped like those of a pass."""
        found = self._blocks.get(layer)
        if found is None or len(found[0]) < self._num_places:
            keys, values = found or (None, None)
            num = self._num_places
            found = _grown(keys, key_TKD, num), _grown(values, value_TKD, num)
            self._blocks[layer] = found
        return found


class VarlenAttention:
    """The attention of one pass, handed to every layer. Takes places for what later passes see, so
    it is made once, in the order of the passes.
    """

    def __init__(self, runs: Sequence[Run], kept: KeptKeys, device: torch.device) -> None:
        self._kept = kept
        begins_q, begins_k = [0], [0]
        order: list[NDArray[np.int64]] = []
        """By text, where its keys lie in what the pass computed and what is read behind it."""
        read: list[NDArray[np.int64]] = []
        wrote: list[NDArray[np.int64]] = []
        into: list[NDArray[np.int64]] = []
        tokens, num_read = runs[-1].at + runs[-1].stop - runs[-1].start, 0
        for run in runs:
            num, earlier = run.stop - run.start, run.chain.places_before()
            for places in earlier:
                read.append(places.numbers)
                order.append(np.arange(len(places.numbers)) + tokens + num_read)
                num_read += len(places.numbers)
            order.append(np.arange(run.at, run.at + num))
            if run.keeps:
                run.chain.places.append(kept.take(num))
                wrote.append(order[-1])
                into.append(run.chain.places[-1].numbers)
            begins_q.append(begins_q[-1] + num)
            begins_k.append(begins_k[-1] + run.chain.before + run.stop)
        self._tokens = tokens
        self._longest_q = max(run.stop - run.start for run in runs)
        self._longest_k = max(run.chain.before + run.stop for run in runs)
        self._begins_q = torch.tensor(begins_q, dtype=torch.int32, device=device)
        self._begins_k = torch.tensor(begins_k, dtype=torch.int32, device=device)
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
        """What each place sees, [1, T, H, D]; padding sees nothing and is 0."""
        query_THD, key_TKD, value_TKD = (
            part[0].transpose(0, 1)[: self._tokens] for part in (query_1HTD, key_1KTD, value_1KTD)
        )
        key_NKD, value_NKD = self._seen(layer, key_TKD, value_TKD)
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
        _, num_heads, num_places, width = query_1HTD.shape
        whole_1THD = query_1HTD.new_zeros(1, num_places, num_heads, width)
        whole_1THD[0, : self._tokens] = seen_THD
        return whole_1THD

    def _seen(
        self, layer: int, key_TKD: torch.Tensor, value_TKD: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values text by text, each behind what was computed of it earlier; keeps what
        later passes see.
        """
        if not len(self._into_W) and not len(self._read_R):
            return key_TKD, value_TKD
        blocks = self._kept.blocks(layer, key_TKD, value_TKD)
        found = []
        for block_PKD, now_TKD in zip(blocks, (key_TKD, value_TKD), strict=True):
            if len(self._into_W):
                block_PKD.index_copy_(0, self._into_W, now_TKD.index_select(0, self._wrote_W))
            if len(self._read_R):
                earlier_RKD = block_PKD.index_select(0, self._read_R)
                now_TKD = torch.cat([now_TKD, earlier_RKD]).index_select(0, self._order_N)
            found.append(now_TKD)
        return found[0], found[1]


def _on(device: torch.device, parts: Sequence["NDArray[np.int64]"]) -> torch.Tensor:
    whole = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    return torch.from_numpy(whole).to(device)


def _grown(block_PKD: torch.Tensor | None, like_TKD: torch.Tensor, num: int) -> torch.Tensor:
    grown_PKD = like_TKD.new_zeros(num, *like_TKD.shape[1:])
    if block_PKD is not None:
        grown_PKD[: len(block_PKD)] = block_PKD
    return grown_PKD
