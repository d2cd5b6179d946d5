"""Scored tokens a second, against the bare forward pass over the same texts, sorted by length."""

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Sequence

from roundsmith.bench import BenchResult
from roundsmith.models.loading import LoadedModel, load, use_threads
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.rows import row_of
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import ScoreItem

LINE = "    total = total + values[index] * 2\n"


def bench(
    model: str, requests: int = 256, pairs: int = 3, settings: ScorerSettings | None = None
) -> list[BenchResult]:
    """Both sides see the same tokens and the same padded shapes, in interleaved pairs.

    `model` is a folder or hub id. The bare forward pass is handed ready batches and computes the
    logits of every position; the median pair is told, in tokens of prompt and completion.
    """
    chosen = settings or ScorerSettings(model=model)
    items = _items(requests)
    loaded = load(chosen)
    batches, tokens = _batches(loaded, chosen, items)
    scorer = TransformersScorer(chosen)
    ours: list[float] = []
    theirs: list[float] = []
    try:
        for _ in range(pairs):
            ours.append(tokens / _seconds(lambda: asyncio.run(_by_scorer(scorer, items))))
            theirs.append(tokens / _seconds(lambda: _by_forward(loaded, chosen, batches)))
    finally:
        scorer.close()
    value, against = statistics.median(ours), statistics.median(theirs)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    case = f"mixed lengths, {requests} completions"
    return [BenchResult(case, value, "tokens/s", "bare forward", against, ratio)]


def _items(requests: int) -> list[ScoreItem]:
    draw = random.Random(0)
    return [
        ScoreItem(str(i), f"def sum_{i}(values):\n", LINE * draw.randint(1, 8))
        for i in range(requests)
    ]


def _seconds(run: Callable[[], None]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _batches(
    loaded: LoadedModel, settings: ScorerSettings, items: Sequence[ScoreItem]
) -> tuple[list[list[list[int]]], int]:
    """The padded token ids of each forward pass, and how many tokens are no padding."""
    step = settings.bucket_tokens
    rows = sorted((list(row_of(item, loaded).inputs) for item in items), key=len)
    by_length: dict[int, list[list[int]]] = {}
    for row in rows:
        length = -(-len(row) // step) * step
        by_length.setdefault(length, []).append(row + [0] * (length - len(row)))
    batches: list[list[list[int]]] = []
    for length, padded in by_length.items():
        num_rows = max(1, settings.forward_tokens // length)
        batches += [padded[at : at + num_rows] for at in range(0, len(padded), num_rows)]
    return batches, sum(map(len, rows))


async def _by_scorer(scorer: TransformersScorer, items: Sequence[ScoreItem]) -> None:
    await asyncio.gather(*map(scorer.score, items))


def _by_forward(
    loaded: LoadedModel, settings: ScorerSettings, batches: Sequence[list[list[int]]]
) -> None:
    import torch

    use_threads(settings, loaded)
    with torch.inference_mode():
        for batch in batches:
            loaded.model(input_ids=torch.tensor(batch, device=loaded.device), use_cache=False)
