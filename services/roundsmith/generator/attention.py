"""Attention of a decode step on a CPU: page by page, so that a row costs what it is long. A page of
keys and values is asked by the slot that owns it, in two products of matrices that take all pages
at once, the heads that share keys as rows of one; a slot then adds up what its pages gave, in their
order.

Axes: S slots, P pages, H heads of queries, K heads of keys and values, G = H / K, B tokens of a
page, D width of a head.
"""

from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from roundsmith.generator.pages import Pages

NAME = "roundsmith_paged"
"""What a model's configuration calls it."""


def attend_paged(
    query_SH1D: torch.Tensor,
    key_PKBD: torch.Tensor,
    value_PKBD: torch.Tensor,
    pages: Pages,
    scaling: float,
) -> torch.Tensor:
    """What the one place of each row sees, [S, 1, H, D]: the sum over its pages of exp(s - max s) V
    over that of exp(s - max s), in float32 but for the products.
    """
    slots, heads, _, width = query_SH1D.shape
    asking_PKGD = query_SH1D.view(slots, key_PKBD.shape[1], -1, width)[pages.slots_P]
    scores_PKGB = (asking_PKGD @ key_PKBD.transpose(2, 3)).float().mul_(scaling)
    scores_PKGB.add_(pages.mask_P11B)
    highest_SKG = _by_slot(scores_PKGB.amax(-1), pages, "max")
    shares_PKGB = scores_PKGB.sub_(highest_SKG[pages.slots_P].unsqueeze(-1)).exp_()
    seen_PKGD = (shares_PKGB.to(value_PKBD.dtype) @ value_PKBD).float()
    seen_SKGD = _by_slot(seen_PKGD, pages, "sum")
    seen_SKGD /= _by_slot(shares_PKGB.sum(-1), pages, "sum").unsqueeze(-1)
    return seen_SKGD.to(value_PKBD.dtype).view(slots, 1, heads, -1)


def _by_slot(of_pages: torch.Tensor, pages: Pages, mode: str) -> torch.Tensor:
    """The sum or the largest of each slot's pages, one page after the other."""
    bags = F.embedding_bag(pages.owned_N, of_pages.flatten(1), pages.begins_S, mode=mode)
    return bags.view(-1, *of_pages.shape[1:])


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    pages: Pages | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer; `pages` is handed through the model at a decode step,
    and a prompt is left to torch.
    """
    if pages is None:
        seen, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return seen, None
    return attend_paged(query, key, value, pages, scaling or query.shape[-1] ** -0.5), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
