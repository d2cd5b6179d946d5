"""How much memory scoring takes beside the weights, at its peak, and what may be expected."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from roundsmith.bench import BenchResult
from roundsmith.models.loading import LoadedModel
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.head import SLICE, chunk
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import ScoreItem

_MIB = 2.0**20
_ALLOCATOR_MIB = 32.0
"""What this process takes for itself meanwhile: requests, tokens, memory that is not given back."""


def peak_memory(
    scorer: TransformersScorer,
    loaded: LoadedModel,
    settings: ScorerSettings,
    items: Sequence[ScoreItem],
) -> BenchResult:
    """The most memory that scoring the items took at once, in MiB, against the bound.

    On a CPU it is read from the kernel, as this process grows; on a GPU from torch.
    """
    reset, read = _on_gpu(loaded) if loaded.device.type == "cuda" else _on_cpu()
    reset()

    async def score() -> None:
        await asyncio.gather(*map(scorer.score, items))

    asyncio.run(score())
    peak: float = read()
    bound = bound_mib(loaded, settings)
    return BenchResult(
        "peak memory beside the weights", peak, "MiB", "bound", bound, bound / max(peak, 0.1)
    )


def bound_mib(loaded: LoadedModel, settings: ScorerSettings) -> float:
    """What a pass may hold: a dozen copies of its hidden states and a few of its widest ones, the
    keys and values that are kept, one slice of the logits, and the process's own needs.
    """
    config: Any = loaded.model.config.get_text_config()
    size = loaded.model.dtype.itemsize
    wide = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    places = settings.tokens(loaded.device.type)
    hidden = float(places * (12 * config.hidden_size + 4 * wide) * max(size, 4))
    logits = 6 * chunk(loaded.device.type) * min(SLICE, loaded.vocabulary) * 4
    kept = settings.prefix_bytes
    if loaded.device.type == "cuda":  # the blocks that hold it grow while two passes go on
        kept += 2 * places * _token_bytes(config, size)
    return (hidden + logits + kept) / _MIB + _ALLOCATOR_MIB


def _token_bytes(config: Any, size: int) -> int:
    """Of the keys and values of a token in all layers."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * size)


def _on_cpu() -> tuple[Callable[[], None], Callable[[], float]]:
    begun: list[float] = []

    def reset() -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is held now
        begun.append(_status("VmRSS"))

    return reset, lambda: _status("VmHWM") - begun[0]


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith(f"{name}:"))
    return float(found.split()[1]) / 1024


def _on_gpu(loaded: LoadedModel) -> tuple[Callable[[], None], Callable[[], float]]:
    import torch

    begun: list[float] = []

    def reset() -> None:
        torch.cuda.reset_peak_memory_stats(loaded.device)
        begun.append(torch.cuda.memory_allocated(loaded.device) / _MIB)

    return reset, lambda: float(torch.cuda.max_memory_allocated(loaded.device)) / _MIB - begun[0]
