"""Which attention a model's decode steps have: ours, or the model's own; it is tried."""

import logging
from typing import TYPE_CHECKING

import torch

from roundsmith.generator import attention, flash_cache
from roundsmith.generator.decoder import Decoder
from roundsmith.models.loading import caps_scores, use_threads

if TYPE_CHECKING:
    from roundsmith.generator.settings import GeneratorSettings
    from roundsmith.models.loading import LoadedModel

logger = logging.getLogger(__name__)
_ROUNDING = {torch.float32: 1e-4}
_COARSE = 2e-2
"""How far two ways to attend may lie apart, of the largest logit: bfloat16 has 8 bits."""
_LAST_PAGE = 5
"""Tokens of the tried prompt beyond a whole page."""


def choose_attention(loaded: "LoadedModel", settings: "GeneratorSettings") -> None:
    """Has a model's decode steps attend by pages on a CPU and by the flash kernel on a GPU, where a
    step of it gives what the model's own attention gives but for rounding: one that adds more to
    its scores keeps its own, and so does one in float32 on a GPU. Sets the threads of this one.
    ConfigError for a model whose layers keep more than keys and values.
    """
    use_threads(settings, loaded)
    model, by_device = loaded.model, {"cpu": attention.NAME, "cuda": flash_cache.NAME}
    name = by_device.get(loaded.device.type)
    if name is None or caps_scores(model.config):
        return
    own, usual = _logits_after_a_step(loaded, settings), model.config._attn_implementation
    apart = _ROUNDING.get(model.dtype, _COARSE) * float(own.abs().max())
    try:
        model.set_attn_implementation(name)
        ours = _logits_after_a_step(loaded, settings)
        if torch.allclose(own, ours, rtol=0, atol=apart):
            return
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, AssertionError):
        pass  # it has attention of its own, which knows nothing of ours
    logger.info("decode steps keep the model's own attention, %s", usual)
    model.set_attn_implementation(usual)


def attend_like(loaded: "LoadedModel", other: "LoadedModel") -> None:
    """Has a model attend as another does that computes like it, without a trial."""
    chosen = other.model.config._attn_implementation
    if loaded.model.config._attn_implementation != chosen:
        loaded.model.set_attn_implementation(chosen)


def _logits_after_a_step(loaded: "LoadedModel", settings: "GeneratorSettings") -> torch.Tensor:
    decoder = Decoder(loaded, settings)
    tokens = max(1, min(settings.bucket_tokens + _LAST_PAGE, loaded.context_tokens - 2))
    prompt = [n % loaded.vocabulary for n in range(tokens)]
    (prefix,) = decoder.prefill([prompt], [None])
    decoder.admit(0, prefix)
    for token in prompt[-2:]:  # of a graph, the second is the first that is replayed
        decoder.advance([token] * decoder.slots)
    return torch.frombuffer(bytearray(decoder.logits(0)), dtype=torch.float32)
