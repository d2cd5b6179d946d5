"""Scored tokens a second, against the bare forward pass over the same texts sorted by length and
against vLLM's `prompt_logprobs`; and how much memory it takes at most.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from roundsmith.bench import BenchResult
from roundsmith.models.loading import LoadedModel, load, use_threads
from roundsmith.models.products import synchronize, utilisation
from roundsmith.scorer.bench_memory import peak_memory
from roundsmith.scorer.bench_vllm import VllmPeer
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.rows import row_of
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import ScoreItem

LINES = (
    "    total = total + values[index] * 2\n",
    "    if left > right:\n        return None\n",
    "    for name, count in sorted(counts.items()):\n",
    "        result.append((name, count))\n",
    "    return result\n",
)
_SMALL, _LARGE, _GPU = 128, 24, 2048
"""Completions of a case: of a small model, of one that takes a CPU a second for a pass, and of any
on a GPU, where a pass holds more of them.
"""


def bench(
    model: str,
    vllm: Path | None = None,
    completions: int = 0,
    pairs: int = 5,
    settings: ScorerSettings | None = None,
) -> list[BenchResult]:
    """Both sides see the same tokens, in interleaved pairs; the median pair is told.

    `model` is a folder or hub id, `vllm` the Python of an environment that has vLLM; without one
    there is no row against it. The bare forward pass is handed batches sorted by length, padded to
    the longest, of as many places as a pass has; it computes the logits of every position and reads
    nothing from them. Tokens are those of prompt and completion, of every completion.
    """
    chosen = settings or ScorerSettings(model=model)
    loaded = load(chosen)
    num = completions or _completions(loaded)
    scorer = TransformersScorer(chosen)
    results: list[BenchResult] = []
    peer = None if vllm is None else VllmPeer(vllm, loaded, chosen)
    try:
        # before anything else is scored, whose memory this process would keep
        memory = peak_memory(scorer, loaded, chosen, _items(num, 1))
        for each in (1, 8):
            items = _items(num, each)
            case = f"{num} completions, {each} a prompt"
            results += _compare(case, scorer, loaded, chosen, items, peer, pairs)
    finally:
        scorer.close()
        if peer is not None:
            peer.close()
    ours = results[0]
    use = utilisation(ours.case, ours.value, loaded.model, 1, loaded.model.dtype)
    return [*results, use, memory]


def _completions(loaded: LoadedModel) -> int:
    if loaded.device.type == "cuda":
        return _GPU
    return _SMALL if loaded.is_small else _LARGE


def _compare(
    case: str,
    scorer: TransformersScorer,
    loaded: LoadedModel,
    settings: ScorerSettings,
    items: Sequence[ScoreItem],
    peer: VllmPeer | None,
    pairs: int,
) -> list[BenchResult]:
    """One case against each peer."""
    texts = _texts(loaded, items)
    tokens = sum(map(len, texts))
    batches = _batches(loaded, settings, texts)
    sides: dict[str, Callable[[], float]] = {
        "ours": lambda: _seconds(lambda: asyncio.run(_by_scorer(scorer, items))),
        "bare forward": lambda: _seconds(lambda: _by_forward(loaded, settings, batches)),
    }
    if peer is not None:
        sides["prompt_logprobs"] = lambda: peer.seconds(texts)
    for side in sides.values():
        side()  # the first time, everything is slower
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(pairs):
        for name, side in sides.items():
            rates[name].append(tokens / side())
    ours = rates.pop("ours")
    return [
        BenchResult(
            case,
            statistics.median(ours),
            "tokens/s",
            name,
            statistics.median(theirs),
            statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
        )
        for name, theirs in rates.items()
    ]


def _items(num: int, each: int) -> list[ScoreItem]:
    """`num` completions of mixed lengths, `each` of a prompt, all different."""
    draw = random.Random(each)
    items: list[ScoreItem] = []
    for i in range(num):
        if i % each == 0:
            prompt = f"def task_{i}(values):\n" + "".join(draw.choices(LINES, k=draw.randint(0, 3)))
        completion = f"    index = {i}\n" + "".join(draw.choices(LINES, k=draw.randint(0, 8)))
        items.append(ScoreItem(str(i), prompt, completion))
    return items


def _texts(loaded: LoadedModel, items: Sequence[ScoreItem]) -> list[list[int]]:
    """The tokens that go in, of every completion with its prompt."""
    rows = [row_of(item, loaded) for item in items]
    return [[*row.prefix, *row.inputs] for row in rows]


def _seconds(run: Callable[[], None]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _batches(
    loaded: LoadedModel, settings: ScorerSettings, texts: Sequence[list[int]]
) -> list[list[list[int]]]:
    """Token ids by batch, sorted by length and padded to the longest of each."""
    places = settings.tokens(loaded.device.type)
    batches: list[list[list[int]]] = [[]]
    for text in sorted(texts, key=len):
        if len(text) * (len(batches[-1]) + 1) > places:
            batches.append([])
        batches[-1].append(text)
    return [
        [text + [0] * (len(batch[-1]) - len(text)) for text in batch] for batch in batches if batch
    ]


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
        synchronize(loaded.device)
