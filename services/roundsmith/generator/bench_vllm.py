"""The generator over gRPC against `AsyncLLM` driven in the same process, on the same prompts.

    python -m roundsmith.generator.bench_vllm MODEL

measures that, and a swap of weights, in an environment that has vLLM; the last line on standard
output is the results as JSON.
"""

import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from roundsmith.bench import BenchResult
from roundsmith.config import child_environment
from roundsmith.errors import ConfigError
from roundsmith.generator.bench_served import Client, Order, client_of
from roundsmith.generator.bench_swap import bench_swap_of
from roundsmith.generator.settings import VllmSettings
from roundsmith.generator.vllm_engine import VllmEngine

MAX_TOKENS = (8, 32)
"""Fewest and most tokens of a completion, log-uniform between."""
PROMPT_TOKENS = (8, 48)
LIMIT_S = 0.003
"""What gRPC may add to the time to the first token."""


def bench_elsewhere(python: Path, model: str) -> list[BenchResult]:
    """All rows on vLLM by a Python that has it. ConfigError where that does not end well."""
    words = [str(python), "-m", "roundsmith.generator.bench_vllm", model]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=child_environment()
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise ConfigError(
            f"--vllm {python}: expected the Python of an environment that has vLLM and Roundsmith, "
            f"saw one whose process ended with {done.returncode} and said {said!r}: run "
            f"`{' '.join(words)}` to see why"
        )
    return [BenchResult(**row) for row in json.loads(done.stdout.splitlines()[-1])]


async def _measured(settings: VllmSettings) -> list[BenchResult]:
    return [*await bench_vllm(settings), await bench_swap_of(settings)]


async def bench_vllm(
    settings: VllmSettings, concurrency: Sequence[int] = (64, 512), pairs: int = 7
) -> list[BenchResult]:
    """Whole completions at each concurrency in interleaved pairs, with the interval of the median
    of their ratios; then token deltas, and the time to the first token.

    Both sides are given token ids and give token ids, text and log-probabilities.
    """
    engine = await VllmEngine.start(settings)
    try:
        async with client_of(engine) as client:
            results = []
            for count in concurrency:
                items = _items(count, engine.vocabulary)
                results += await _whole(engine, client, items, pairs)
                results.append(await _deltas(engine, client, items))
            results.append(await _first_token(engine, client))
            return results
    finally:
        await engine.close()


def _items(count: int, vocabulary: int) -> list[Order]:
    draw = random.Random(count)
    low, high = MAX_TOKENS
    return [
        (
            [draw.randrange(10, vocabulary) for _ in range(draw.randint(*PROMPT_TOKENS))],
            round(low * (high / low) ** draw.random()),
        )
        for _ in range(count)
    ]


async def _whole(
    engine: VllmEngine, client: Client, items: Sequence[Order], pairs: int
) -> list[BenchResult]:
    await client.ask(items)
    await _directly(engine, items)
    ours, theirs = [], []
    for _ in range(pairs):
        asked = await client.ask(items)
        ours.append(asked.tokens / asked.seconds)
        theirs.append(await _directly(engine, items))
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    case = (
        f"vllm over gRPC, {len(items)} concurrent, {pairs} pairs, ratios {ratios[0]:.3f} to "
        f"{ratios[-1]:.3f}"
    )
    values = statistics.median(ours), statistics.median(theirs)
    ratio = statistics.median(ratios)
    return [BenchResult(case, values[0], "tokens/s", "AsyncLLM", values[1], ratio)]


async def _deltas(engine: VllmEngine, client: Client, items: Sequence[Order]) -> BenchResult:
    ours, theirs = [], []
    for _ in range(3):
        asked = await client.ask(items, deltas=True)
        ours.append(asked.tokens / asked.seconds)
        theirs.append(await _directly(engine, items, deltas=True))
    value, against = statistics.median(ours), statistics.median(theirs)
    case = f"vllm over gRPC, {len(items)} concurrent, token deltas"
    return BenchResult(case, value, "tokens/s", "AsyncLLM, deltas", against, value / against)


async def _first_token(engine: VllmEngine, client: Client, rounds: int = 40) -> BenchResult:
    """Each side begins a pair as often as the other, with prompts of its own of one length: what
    was computed for a prompt would be kept for the next.
    """
    added = []
    for number, (prompt, _) in enumerate(_items(rounds, engine.vocabulary)):
        turned = prompt[::-1]
        if number % 2:
            theirs = await _first_directly(engine, turned)
        (ours,) = (await client.ask([(prompt, 4)], deltas=True)).first_s
        if number % 2 == 0:
            theirs = await _first_directly(engine, turned)
        added.append(ours - theirs)
    extra = max(statistics.median(added), 1e-6)
    case = "vllm over gRPC, one at a time: added time to the first token"
    return BenchResult(case, 1e3 * extra, "ms", "limit", 1e3 * LIMIT_S, LIMIT_S / extra)


async def _directly(engine: VllmEngine, items: Sequence[Order], *, deltas: bool = False) -> float:
    """Tokens a second of AsyncLLM without the service."""

    async def one(number: int, prompt: Sequence[int], most: int) -> int:
        tokens = 0
        async for output in engine.directly(f"direct-{number}", prompt, most, deltas=deltas):
            tokens += len(output.outputs[0].token_ids)
        return tokens

    begun = time.perf_counter()
    tokens = sum(await asyncio.gather(*(one(i, *item) for i, item in enumerate(items))))
    return tokens / (time.perf_counter() - begun)


async def _first_directly(engine: VllmEngine, prompt: Sequence[int]) -> float:
    begun = time.perf_counter()
    outputs: Any = engine.directly("direct", prompt, 4, deltas=True)
    await anext(outputs)
    first_s = time.perf_counter() - begun
    async for _ in outputs:
        pass
    return first_s


if __name__ == "__main__":  # each rank of vLLM imports this file again
    found = asyncio.run(_measured(VllmSettings(model=sys.argv[1])))
    print(json.dumps([asdict(row) for row in found]))
