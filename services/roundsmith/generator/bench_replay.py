"""What the servicer costs: an engine that computes nothing, and says tokens at a given rate."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from roundsmith.bench import BenchResult
from roundsmith.errors import RoundsmithError
from roundsmith.generator.bench_served import client_of
from roundsmith.generator.model_info import ModelInfo
from roundsmith.types import Completion, CompletionDelta, GenerateItem

RATE = 50_000
"""Tokens a second, over all requests."""
REQUESTS = 512
TOKENS = 200
"""Of each completion."""
SATURATED = 0.9
"""Of the rate that was asked for, less than that arrives."""
_VERSION = "0" * 64


class ReplayEngine:
    """Tells every request's next token at the same moments, whatever was asked."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self.running = self.waiting = 0

    async def generate(self, item: GenerateItem) -> AsyncGenerator[Completion | CompletionDelta]:
        """So many tokens as the item allows, one a step, or all at the time of the last."""
        self.running += 1
        begun, most = time.monotonic(), item.sampling.max_tokens
        try:
            for number in range(most if item.deltas else 1):
                tokens = number + 1 if item.deltas else most
                await asyncio.sleep(begun + tokens * self._step_s - time.monotonic())
                if item.deltas and tokens < most:
                    yield CompletionDelta(0, number, (17,), (-0.5,), "word ")
            ids, logprobs = (17,) * most, (-0.5,) * most
            yield Completion(0, "word " * most, ids, logprobs, "length", 1, _VERSION)
        finally:
            self.running -= 1

    def describe(self) -> ModelInfo:
        """A model that does not exist."""
        return ModelInfo(
            model="replay",
            weights_sha256=_VERSION,
            engine="replay",
            context_tokens=2**20,
            slots=REQUESTS,
            reproducible=True,
            has_chat_template=False,
            constraint_kinds=(),
            adapters=(),
            rank_weights_sha256=(_VERSION,),
            dtype="none",
        )

    async def reload(self, folder: Path, sha256: str) -> None:
        """There are no weights."""

    async def load_adapter(self, name: str, folder: Path, sha256: str) -> None:
        """There are no adapters."""

    async def unload_adapter(self, name: str) -> None:
        """There are no adapters."""

    async def failed(self) -> RoundsmithError:
        """Never."""
        never: asyncio.Future[RoundsmithError] = asyncio.get_running_loop().create_future()
        return await never

    async def close(self) -> None:
        """Nothing is held."""


async def bench_replay(
    requests: int = REQUESTS, tokens: int = TOKENS, rate: float = RATE
) -> list[BenchResult]:
    """Tokens a second that arrive of `rate` asked for, whole and as deltas, with the CPU time of
    this process, which is the servicer's; then of twice as many, until fewer arrive: that is where
    it is saturated. More than are asked for can not arrive.
    """
    results = []
    for deltas, kind in ((False, "whole"), (True, "deltas")):
        asked_for = rate
        while True:
            results.append(await _replayed(requests, tokens, asked_for, deltas, kind))
            if results[-1].ratio < SATURATED:
                break
            asked_for *= 2
    return results


async def _replayed(
    requests: int, tokens: int, rate: float, deltas: bool, kind: str
) -> BenchResult:
    engine = ReplayEngine(requests / rate)
    async with client_of(engine) as client:
        items = [([1], tokens)] * requests
        begun = time.process_time()
        asked = await client.ask(items, deltas=deltas)
        cpu_s = time.process_time() - begun
    arrived = asked.tokens / asked.seconds
    cpu_ms = 1e6 * cpu_s / asked.tokens
    case = f"servicer, replay over {requests} requests, {kind}: CPU {cpu_ms:.2f} ms/1000 tokens"
    return BenchResult(case, arrived, "tokens/s", "replay's rate", rate, arrived / rate)
