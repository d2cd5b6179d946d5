"""An engine behind its servicer in this process, and a client of it in another."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from roundsmith.config import ServeSettings, child_environment
from roundsmith.errors import PlatformError
from roundsmith.generator.metrics import GeneratorMetrics
from roundsmith.generator.service import GeneratorEngine, GeneratorServicer
from roundsmith.serve import Binding, listening
from roundsmith.v1 import generator_pb2_grpc

Order = tuple[Sequence[int], int]
"""A prompt's token ids, and the most tokens to draw."""


@dataclass(frozen=True)
class Asked:
    """What the client saw: all seconds and tokens, and the seconds to each first answer."""

    seconds: float
    tokens: int
    first_s: list[float]


class Client:
    """The client process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, items: Sequence[Order], *, deltas: bool = False, runs: int = 1) -> Asked:
        """Asks for all items at once, greedily, so many times one after the other."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = [[list(prompt), most] for prompt, most in items]
        line = json.dumps({"items": asked, "deltas": deltas, "runs": runs})
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()
        if not (answer := await self._process.stdout.readline()):
            raise PlatformError("the bench's client ended, expected an answer: see its output")
        return Asked(**json.loads(answer))


@asynccontextmanager
async def client_of(engine: GeneratorEngine) -> AsyncIterator[Client]:
    """Serves the engine on loopback, and starts a client of it."""
    settings = ServeSettings(max_items_in_flight=4096, result_ttl_s=0)
    servicer = GeneratorServicer(engine, settings, GeneratorMetrics(engine))
    binding = Binding(
        "roundsmith.v1.GeneratorService",
        lambda server: generator_pb2_grpc.add_GeneratorServiceServicer_to_server(servicer, server),
    )
    async with listening([binding], settings) as addresses:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "roundsmith.generator.bench_client", addresses["address"]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=child_environment(),
            limit=2**26,
        )
        try:
            yield Client(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
