"""How many programs and cells a second one core runs through gRPC, beside a plain subprocess and
forks.

Client, server, supervisor and programs are pinned to one core and measured in alternating slices
with their peers, so that a busy machine slows all alike.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from roundsmith.bench import BenchResult
from roundsmith.config import ServeSettings
from roundsmith.executor import floors
from roundsmith.executor.pool import Pool
from roundsmith.executor.service import bindings
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.serve.server import listening
from roundsmith.types import CallTest, ExecuteItem, Program
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.v1 import executor_pb2_grpc
from roundsmith.wire import to_message

BATCH = 32
_SLICES = 5
_PROGRAMS = 16
_DEADLINE_S = 60.0


def bench(slice_s: float = 1.0) -> list[BenchResult]:
    """Rates of one slot on one core, in cells a second; each of the five slices of a case lasts
    `slice_s` seconds.

    A ratio is the median over slices. Raises RuntimeError when a cell does not pass. The calling
    process is pinned to one core meanwhile.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        return asyncio.run(_bench(slice_s))
    finally:
        os.sched_setaffinity(0, cores)


async def _bench(slice_s: float) -> list[BenchResult]:
    settings = ExecutorSettings(slots=1, cache_bytes=0)
    with tempfile.TemporaryDirectory(prefix="roundsmith-bench-") as scratch:
        async with Pool(settings) as pool:
            tier = pool.capabilities().tier
            async with (
                listening(bindings(pool, ServeSettings()), ServeSettings()) as addresses,
                grpc.aio.insecure_channel(addresses["address"]) as channel,
            ):
                stub: Any = executor_pb2_grpc.ExecutorServiceStub(channel)
                uid = settings.uid_base + 2**10
                cases: dict[str, Callable[[], Awaitable[float]]] = {
                    f"fresh process a program, {tier}": lambda: _rate(stub, slice_s, 1),
                    f"{BATCH} tests a row, {tier}": lambda: _rate(stub, slice_s, BATCH),
                }
                peers: dict[str, Callable[[], float]] = {
                    "python subprocess": lambda: floors.subprocess_rate(slice_s),
                    "os.fork floor": lambda: floors.plain_rate(slice_s),
                    f"os.fork floor, {tier}": lambda: floors.hardened_rate(
                        slice_s, tier, scratch, uid
                    ),
                }
                slices = [await _slice(cases, peers) for _ in range(_SLICES)]
    return [_result(slices, case, peer) for case in cases for peer in peers]


async def _slice(
    cases: dict[str, Callable[[], Awaitable[float]]], peers: dict[str, Callable[[], float]]
) -> dict[str, float]:
    ours = {name: await measure() for name, measure in cases.items()}
    return ours | {name: await asyncio.to_thread(measure) for name, measure in peers.items()}


def _result(slices: list[dict[str, float]], case: str, peer: str) -> BenchResult:
    mine, theirs = ([piece[name] for piece in slices] for name in (case, peer))
    ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
    value, against = statistics.median(mine), statistics.median(theirs)
    return BenchResult(case, value, "cells/s", peer, against, ratio)


async def _rate(stub: Any, seconds: float, tests: int) -> float:
    cells = tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(tests))
    count, serial, start = 0, 0, time.monotonic()
    while time.monotonic() - start < seconds:
        # A comment apart, so that no two programs are the same text.
        programs = tuple(
            Program(f"c{at}", f"{floors.PROGRAM}# {serial + at}") for at in range(_PROGRAMS)
        )
        serial += _PROGRAMS
        item = to_message(ExecuteItem(f"bench-{serial}", programs, cells))
        answer = await stub.Execute(pb2.ExecuteRequest(item=item), timeout=_DEADLINE_S)
        for outcome in answer.outcomes:
            if outcome.verdict != pb2.VERDICT_PASS:
                raise RuntimeError(f"expected PASS, got {outcome}")
        count += len(answer.outcomes)
    return count / (time.monotonic() - start)
