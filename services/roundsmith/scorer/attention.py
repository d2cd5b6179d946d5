"""Attention over a pass in which texts lie end to end: each token sees its own text alone.

It is done text by text, in blocks of fixed length counted from the text's begin. So the shape of
every operation, and with it every bit of a text's numbers, depends on that text alone. Axes: H
heads, T places of a pass, D width of a head.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface

from roundsmith.scorer.chains import Run
from roundsmith.scorer.varlen import VarlenAttention

NAME = "roundsmith_packed"
"""What a model's configuration calls it."""


class PackedAttention:
    """The attention of one pass, handed to every layer."""

    def __init__(self, runs: Sequence[Run], block: int, masks: "Masks") -> None:
        self._runs, self._block, self._masks = runs, block, masks

    def attend(
        self,
        layer: int,
        query_1HTD: torch.Tensor,
        key_1HTD: torch.Tensor,
        value_1HTD: torch.Tensor,
        scale: float | None,
    ) -> torch.Tensor:
        """What each place sees, [1, T, H, D]; padding sees nothing and is 0."""
        _, num_heads, num_places, _ = query_1HTD.shape
        seen_1THD = query_1HTD.new_zeros(1, num_places, num_heads, value_1HTD.shape[-1])
        for run in self._runs:
            num = run.stop - run.start
            here = slice(run.at, run.at + num)
            keys, values = key_1HTD[:, :, here], value_1HTD[:, :, here]
            if (earlier := run.chain.before_this(layer)) is not None:
                keys = torch.cat([earlier[0], keys], dim=2)
                values = torch.cat([earlier[1], values], dim=2)
            elif run.keeps:  # not a view, which would hold all of the pass
                keys, values = keys.clone(), values.clone()
            if run.keeps:
                run.chain.kept[layer] = keys, values
            before = run.chain.before + run.start
            for start in range(0, num, self._block):
                stop = min(start + self._block, num)
                places = slice(run.at + start, run.at + stop)
                seen = self._block_of(
                    query_1HTD[:, :, places],
                    keys[:, :, : before + stop],
                    values[:, :, : before + stop],
                    scale,
                )
                seen_1THD[:, places] = seen.transpose(1, 2)
        return seen_1THD

    def _block_of(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        """Attention of the last places of a text to all up to them."""
        num, length = query.shape[2], keys.shape[2]
        whole = num == length
        mask = None if whole or num == 1 else self._masks.last(num, length)
        grouped = query.shape[1] != keys.shape[1]
        return F.scaled_dot_product_attention(
            query,
            keys,
            values,
            attn_mask=mask,
            is_causal=whole,
            scale=scale,
            enable_gqa=grouped,
        )


class Masks:
    """Which places the last ones of a text see: those up to themselves."""

    def __init__(self, block: int, longest: int, device: torch.device) -> None:
        whole = torch.ones(block, max(longest, block), dtype=torch.bool, device=device)
        self._whole = whole.tril(max(longest, block) - block)

    def last(self, num: int, length: int) -> torch.Tensor:
        """For the last `num` places of `length`, [num, length]."""
        return self._whole[-num:, -length:]


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    *,
    packed: PackedAttention | VarlenAttention,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer; `packed` is handed through the model."""
    return packed.attend(module.layer_idx, query, key, value, scaling), None


AttentionInterface.register(NAME, _attention)
