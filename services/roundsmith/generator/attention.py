"""Attention of a decode step on a CPU where torch's own is slow: in bfloat16, and where heads share
keys and values, which it would repeat for each. Here it is two products of matrices with a softmax
in float32 between them, the heads that share as rows of one product.

Axes: S slots, H heads of queries, K heads of keys and values, G = H / K, L attended length, D width
of a head.
"""

from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from roundsmith.generator.decoder import Decoder
from roundsmith.models.loading import use_threads

if TYPE_CHECKING:
    from roundsmith.generator.settings import GeneratorSettings
    from roundsmith.models.loading import LoadedModel

NAME = "roundsmith_decode"
"""What a model's configuration calls it."""
_ROUNDING = 2e-2
"""How far two ways to attend may lie apart, of the largest logit: bfloat16 has 8 bits."""


def choose_attention(loaded: "LoadedModel", settings: "GeneratorSettings") -> None:
    """Has a model's decode steps attend by `two_products` where that is quicker, and where a step
    of it gives what the model's own attention gives but for rounding: one that adds more to its
    scores keeps its own. Sets the threads of this one. ConfigError for a model whose layers keep
    more than keys and values.
    """
    model, config = loaded.model, loaded.model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", None)
    shared = getattr(config, "num_key_value_heads", heads) != heads
    if loaded.device.type != "cpu" or not (shared or model.dtype is torch.bfloat16):
        return
    use_threads(settings, loaded)
    own, usual = _logits_after_a_step(loaded, settings), model.config._attn_implementation
    try:
        model.set_attn_implementation(NAME)
        ours = _logits_after_a_step(loaded, settings)
        if torch.allclose(own, ours, rtol=0, atol=_ROUNDING * float(own.abs().max())):
            return
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError):
        pass  # it has attention of its own, which knows nothing of ours
    model.set_attn_implementation(usual)


def attend_like(loaded: "LoadedModel", other: "LoadedModel") -> None:
    """Has a model attend as another does that computes like it, without a trial."""
    chosen = other.model.config._attn_implementation
    if loaded.model.config._attn_implementation != chosen:
        loaded.model.set_attn_implementation(chosen)


def _logits_after_a_step(loaded: "LoadedModel", settings: "GeneratorSettings") -> torch.Tensor:
    decoder = Decoder(loaded, settings)
    prompt = list(range(max(1, min(5, loaded.context_tokens - 1, loaded.vocabulary))))
    (prefix,) = decoder.prefill([prompt], [None])
    decoder.admit(0, prefix)
    decoder.advance([prompt[-1]] * decoder.slots)
    return torch.frombuffer(bytearray(decoder.logits(0)), dtype=torch.float32)


def two_products(
    query_SH1D: torch.Tensor,
    key_SKLD: torch.Tensor,
    value_SKLD: torch.Tensor,
    mask_S11L: torch.Tensor,
    scaling: float,
) -> torch.Tensor:
    """What the one place of each row sees, [S, 1, H, D]; the mask is added to the scores."""
    slots, heads, _, width = query_SH1D.shape
    query_SKGD = query_SH1D.view(slots, key_SKLD.shape[1], -1, width)
    scores_SKGL = (query_SKGD @ key_SKLD.transpose(2, 3)).float().mul_(scaling).add_(mask_S11L)
    shares_SKGL = torch.softmax(scores_SKGL, -1).to(value_SKLD.dtype)
    return (shares_SKGL @ value_SKLD).view(slots, 1, heads, -1)


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer: a prompt is left to torch."""
    if query.shape[2] > 1 or attention_mask is None or scaling is None:
        seen, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return seen, None
    return two_products(query, key, value, attention_mask, scaling), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
