"""The generator's bench: the `transformers` engine here, the rest in the files beside."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roundsmith.bench import BenchResult
from roundsmith.generator.bench_replay import bench_replay
from roundsmith.generator.bench_swap import bench_swap_of
from roundsmith.generator.bench_vllm import bench_elsewhere
from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.models.loading import LoadedModel, load, served_device, use_threads
from roundsmith.models.products import utilisation
from roundsmith.types import GenerateItem, Sampling

STUBS = (
    'def add(a, b):\n    """ Return the sum of a and b. """\n',
    'def longest(words):\n    """ Return the longest of the words, the first one of several. """\n',
    'def count(xs, x):\n    """ Count how often x is in the list xs. """\n    total = 0\n',
    'def evens(xs):\n    """ Keep the even numbers. """\n',
)
MIN_TOKENS, MAX_TOKENS = 8, 256
"""Of a completion, log-uniform between: many short, a few long."""
_SMALL, _LARGE, _GPU = (512, 3), (96, 1), (1024, 3)
"""Requests and pairs, for a small model, for one that takes a CPU long, and for any on a GPU."""
_GPU_SLOTS = 256
"""On a GPU, which a step of few rows leaves idle."""


def bench(model: str, vllm: Path | None = None) -> list[BenchResult]:
    """Each engine against plain ways to do the same, the servicer alone, and a swap of weights.

    `model` is a folder or hub id, `vllm` the Python of an environment that has vLLM and Roundsmith;
    without one there is no row of that engine.
    """
    on_vllm = [] if vllm is None else bench_elsewhere(vllm, model)
    settings = GeneratorSettings(model=model)
    if served_device(settings.device).startswith("cuda"):
        settings = settings.model_copy(update={"slots": _GPU_SLOTS})
    results = [*bench_transformers(settings), *asyncio.run(bench_replay())]
    return [*results, asyncio.run(bench_swap_of(settings)), *on_vllm]


def bench_transformers(
    settings: GeneratorSettings, requests: int = 0, pairs: int = 0
) -> list[BenchResult]:
    """Both sides draw the same greedy completions, in interleaved pairs; the median pair is told.

    A completion is as long as it was asked for, whatever the model thinks: nothing ends it.
    `generate` runs batches as large as the engine's slots, each until its longest completion has
    ended; only tokens that were asked for count.
    """
    # Two, because the engine has its own attend otherwise.
    loaded, plain = _endless(settings), _endless(settings)
    usual = _SMALL if loaded.is_small else _LARGE
    if loaded.device.type == "cuda":
        usual = _GPU
    requests, pairs = requests or usual[0], pairs or usual[1]
    items = _items(requests, min(MAX_TOKENS, loaded.context_tokens // 2))
    engine = TransformersEngine(settings, loaded)
    ours: list[float] = []
    theirs: list[float] = []
    try:
        for _ in range(pairs):
            ours.append(_rate(lambda: asyncio.run(_by_engine(engine, items))))
            theirs.append(_rate(lambda: _by_generate(plain, settings, items)))
    finally:
        asyncio.run(engine.close())
    case = f"transformers: mixed lengths, {requests} requests, {settings.slots} slots"
    rates = tuple(zip(ours, theirs, strict=True))
    found = BenchResult.of_slices(case, "tokens/s", "generate", rates)
    return [found, utilisation(case, found.value, loaded.model, 1, loaded.model.dtype)]


def _endless(settings: GeneratorSettings) -> LoadedModel:
    loaded = replace(load(settings), end_ids=frozenset())
    loaded.model.generation_config.eos_token_id = None
    return loaded


def _items(requests: int, longest: int) -> list[GenerateItem]:
    draw = random.Random(0)
    return [
        GenerateItem(
            str(i),
            STUBS[i % len(STUBS)],
            Sampling(round(MIN_TOKENS * (longest / MIN_TOKENS) ** draw.random()), 0.0),
            seed=i,
        )
        for i in range(requests)
    ]


def _rate(run: Callable[[], int]) -> float:
    begun = time.perf_counter()
    tokens = run()
    return tokens / (time.perf_counter() - begun)


async def _by_engine(engine: TransformersEngine, items: Sequence[GenerateItem]) -> int:
    async def tokens(item: GenerateItem) -> int:
        return sum([len(told.token_ids) async for told in engine.generate(item)])

    return sum(await asyncio.gather(*map(tokens, items)))


def draw_together(
    loaded: LoadedModel, items: Sequence[GenerateItem], **options: Any
) -> list[list[int]]:
    """What transformers' `generate` appends, by these options, to the prompts of all items as one
    batch: as many tokens for each, whatever stands after an end token.
    """
    import torch

    prompts = [loaded.render(item.prompt) for item in items]
    longest = max(map(len, prompts))
    pad = [[0] * (longest - len(ids)) for ids in prompts]  # on the left
    inputs = [zeros + ids for zeros, ids in zip(pad, prompts, strict=True)]
    mask = [zeros + [1] * len(ids) for zeros, ids in zip(pad, prompts, strict=True)]
    drawn: list[list[int]] = loaded.model.generate(
        input_ids=torch.tensor(inputs, device=loaded.device),
        attention_mask=torch.tensor(mask, device=loaded.device),
        pad_token_id=loaded.end_id,
        **options,
    )[:, longest:].tolist()
    return drawn


def _by_generate(
    loaded: LoadedModel, settings: GeneratorSettings, items: Sequence[GenerateItem]
) -> int:
    use_threads(settings, loaded)
    total = 0
    for at in range(0, len(items), settings.slots):
        batch = items[at : at + settings.slots]
        longest = max(item.sampling.max_tokens for item in batch)
        drawn = draw_together(loaded, batch, do_sample=False, max_new_tokens=longest)
        assert len(drawn[0]) == longest
        total += sum(item.sampling.max_tokens for item in batch)
    return total
