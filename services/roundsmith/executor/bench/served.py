"""An executor as the bench measures it: one slot behind gRPC, at one place."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from roundsmith.config import ServeSettings
from roundsmith.executor.bench.cpu import Rate, Stopwatch
from roundsmith.executor.bench.programs import Workload
from roundsmith.executor.pool import Pool
from roundsmith.executor.service import bindings
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.serve.server import listening
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.v1 import executor_pb2_grpc
from roundsmith.wire import to_message

DEADLINE_S = 600.0
_IN_FLIGHT = 256
"""As many items as `answers` of the client keeps under way."""


class Served:
    """One executor. `place` is its tier, and `pod` where it runs in a sandbox pod."""

    def __init__(self, place: str, pool: Pool, stub: Any) -> None:
        self.place, self.pool, self.stub = place, pool, stub
        self._serial = itertools.count()

    async def rate(self, workload: Workload, seconds: float) -> Rate:
        """Cells a second over whole passes, one at least; CPU time is that of client, server and
        sandbox. Raises RuntimeError when one does not pass.
        """
        count, watch = 0, Stopwatch()
        while not count or watch.wall_s < seconds:
            count += await self._pass(workload)
        return watch.rate(count)

    async def _pass(self, workload: Workload) -> int:
        items = [to_message(item) for item in workload.items(next(self._serial))]
        call = self.stub.ExecuteStream(timeout=DEADLINE_S)
        unsent, count, left = iter(items), 0, len(items)
        for item in itertools.islice(unsent, _IN_FLIGHT):
            await call.write(pb2.ExecuteStreamRequest(item=item, together=True))
        while left:
            response = await call.read()
            outcomes = response.outcomes.outcomes
            if not outcomes or any(o.verdict != pb2.VERDICT_PASS for o in outcomes):
                raise RuntimeError(f"{workload.name}: expected PASS, saw {response}")
            count += len(outcomes)
            if response.last:
                left -= 1
                if (item := next(unsent, None)) is not None:
                    await call.write(pb2.ExecuteStreamRequest(item=item, together=True))
        await call.done_writing()
        return count


@asynccontextmanager
async def served(settings: ExecutorSettings, place: str) -> AsyncIterator[Served | None]:
    """Serves until the block ends; None where the kernel does not hold the place's tier."""
    async with Pool(settings) as pool:
        if pool.capabilities().tier != place[:2]:
            yield None
            return
        serve = ServeSettings()
        async with (
            listening(bindings(pool, serve), serve) as addresses,
            grpc.aio.insecure_channel(addresses["address"]) as channel,
        ):
            yield Served(place, pool, executor_pb2_grpc.ExecutorServiceStub(channel))
