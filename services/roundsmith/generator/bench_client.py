"""The other end of the generator's bench, in a process of its own: asks over gRPC when it is told.

    python -m roundsmith.generator.bench_client ADDRESS

Each line on standard input is a JSON object `{"items": [[prompt ids, max_tokens], ...], "deltas":
bool, "runs": n}`; each on standard output answers it with seconds, tokens and `first_s`, the time
to the first answer of each run.
"""

import asyncio
import json
import sys
import time
from typing import Any

from roundsmith.clients.channels import open_channel
from roundsmith.clients.generator import GeneratorClient
from roundsmith.types import CompletionDelta, GenerateItem, Sampling


async def serve(address: str) -> None:
    """Answers lines until there are no more."""
    async with open_channel(address) as channel:
        client = GeneratorClient(channel)
        await client.model(timeout_s=60)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await _ask(client, json.loads(line))), flush=True)
        await client.stream.close()


async def _ask(client: GeneratorClient, order: dict[str, Any]) -> dict[str, Any]:
    first_s: list[float] = []

    async def one(number: int, prompt: list[int], max_tokens: int) -> int:
        sampling = Sampling(max_tokens, temperature=0.0)
        item = GenerateItem(f"{number}", tuple(prompt), sampling, 0, deltas=order["deltas"])
        begun, tokens, first = time.perf_counter(), 0, 0.0
        async for told in client.told(item):
            first = first or time.perf_counter() - begun
            if not isinstance(told, CompletionDelta):
                tokens += len(told.token_ids)
        first_s.append(first)
        return tokens

    begun, tokens = time.perf_counter(), 0
    for _ in range(order["runs"]):
        tokens += sum(await asyncio.gather(*(one(i, *it) for i, it in enumerate(order["items"]))))
        client.forget()
    return {"seconds": time.perf_counter() - begun, "tokens": tokens, "first_s": first_s}


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
