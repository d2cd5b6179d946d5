"""What torch's flash kernel computes, for tests without a GPU: each text by itself, the last query
seeing the last key where the call is causal.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F


def flash(
    query_THD: torch.Tensor,
    key_NKD: torch.Tensor,
    value_NKD: torch.Tensor,
    begins_of_queries: torch.Tensor,
    begins_of_keys: torch.Tensor,
    _longest_q: int,
    _longest_k: int,
    _dropout: float,
    causal: bool,
    _mask: bool,
    *,
    scale: float | None = None,
    seqused_k: torch.Tensor | None = None,
) -> tuple[torch.Tensor]:
    """As `torch.ops.aten._flash_attention_forward`, of which callers read the first tensor."""
    seen_THD = torch.empty_like(query_THD)
    for text, (begin, end) in enumerate(pairwise(begins_of_queries.tolist())):
        first, last = begins_of_keys[text : text + 2].tolist()
        last = last if seqused_k is None else first + int(seqused_k[text])
        num, length = end - begin, last - first
        mask = torch.ones(num, length, dtype=torch.bool)
        here = F.scaled_dot_product_attention(
            query_THD[begin:end].transpose(0, 1)[None],
            key_NKD[first:last].transpose(0, 1)[None],
            value_NKD[first:last].transpose(0, 1)[None],
            attn_mask=mask.tril(length - num) if causal else mask,
            scale=scale,
            enable_gqa=True,
        )
        seen_THD[begin:end] = here[0].transpose(0, 1)
    return (seen_THD,)


@contextmanager
def emulated(module: Any) -> Iterator[None]:
    """A module whose calls of the kernel come here."""

    class Aten:
        _flash_attention_forward = staticmethod(flash)

    class Ops:
        aten = Aten

    class Torch:
        ops = Ops

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

    whole, module.torch = module.torch, Torch()
    try:
        yield
    finally:
        module.torch = whole
