"""Clients that are killed: each a connection of its own, with one long item after another.

    python doomed.py ADDRESS NUMBER

Prints `begun` when every client has been told tokens.
"""

import asyncio
import itertools
import sys

import grpc

from roundsmith.clients import GeneratorClient
from roundsmith.types import GenerateItem, Sampling


async def main(address: str, number: int) -> None:
    begun, waiting = asyncio.Event(), {f"doomed{i}" for i in range(number)}

    def begin(name: str) -> None:
        waiting.discard(name)
        if not waiting:
            begun.set()

    async def one(name: str) -> None:
        own = [("grpc.use_local_subchannel_pool", 1)]  # else they would share one connection
        async with grpc.aio.insecure_channel(address, options=own) as channel:
            client = GeneratorClient(channel)
            for number in itertools.count():  # the first may be over before the last client begins
                long = Sampling(200, temperature=0.0)
                item = GenerateItem(f"{name}.{number}", "def", long, 0, deltas=True)
                async for _ in client.told(item):
                    begin(name)

    tasks = [asyncio.create_task(one(name)) for name in sorted(waiting)]
    await begun.wait()
    print("begun", flush=True)
    await asyncio.gather(*tasks)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
