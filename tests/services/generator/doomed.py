"""Clients that are killed: each a connection of its own, with a long item under way.

    python doomed.py ADDRESS NUMBER

Prints `begun` when every client has been told tokens.
"""

import asyncio
import sys

import grpc

from roundsmith.clients import GeneratorClient
from roundsmith.types import GenerateItem, Sampling


async def main(address: str, number: int) -> None:
    begun = asyncio.Semaphore(0)

    async def one(name: str) -> None:
        own = [("grpc.use_local_subchannel_pool", 1)]  # else they would share one connection
        async with grpc.aio.insecure_channel(address, options=own) as channel:
            item = GenerateItem(name, "def", Sampling(200, temperature=0.0), 0, deltas=True)
            async for _ in GeneratorClient(channel).told(item):
                begun.release()
                await asyncio.sleep(3600)

    tasks = [asyncio.create_task(one(f"doomed{i}")) for i in range(number)]
    for _ in tasks:
        await begun.acquire()
    print("begun", flush=True)
    await asyncio.gather(*tasks)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
