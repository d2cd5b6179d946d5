"""How many programs and cells a second one core runs, beside a plain subprocess and a bare fork.

Everything is pinned to one core and measured in alternating slices, so that a busy machine slows
all alike.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from roundsmith.bench import BenchResult
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Program
from roundsmith.verdicts import Verdict

PROGRAM = "def f(x):\n    return x + 1\n"
BATCH = 32
_SLICES = 5
_FORK_LOOP = f"""
import os, sys, time
seconds, count, start = float(sys.argv[1]), 0, time.monotonic()
while time.monotonic() - start < seconds:
    pid = os.fork()
    if not pid:
        space = {{}}
        exec(compile({PROGRAM!r}, "<solution>", "exec"), space)
        os._exit(space["f"](1) != 2)
    count += not os.waitpid(pid, 0)[1]
print(count / (time.monotonic() - start))
"""


def bench(slice_s: float = 1.0) -> list[BenchResult]:
    """Rates of one slot on one core, in cells a second; each of the five slices of a case lasts
    `slice_s` seconds.

    Raises RuntimeError when a cell does not pass. The calling process is pinned to one core
    meanwhile.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        return asyncio.run(_bench(slice_s))
    finally:
        os.sched_setaffinity(0, cores)


async def _bench(slice_s: float) -> list[BenchResult]:
    async with Pool(ExecutorSettings(slots=1)) as pool:
        tier = pool.capabilities().tier
        cases: dict[str, Callable[[], Awaitable[float]]] = {
            "fresh": lambda: _rate(pool, slice_s, 1),
            "batched": lambda: _rate(pool, slice_s, BATCH),
            "python subprocess": lambda: asyncio.to_thread(_subprocess_rate, slice_s),
            "os.fork floor": lambda: asyncio.to_thread(_fork_rate, slice_s),
        }
        slices = [
            {name: await measure() for name, measure in cases.items()} for _ in range(_SLICES)
        ]
    median = {name: statistics.median(piece[name] for piece in slices) for name in cases}
    named = {"fresh": f"fresh process a program, {tier}", "batched": f"{BATCH} tests a row, {tier}"}
    return [
        BenchResult(
            named[case], median[case], "cells/s", peer, median[peer], median[case] / median[peer]
        )
        for case in named
        for peer in ("python subprocess", "os.fork floor")
    ]


async def _rate(pool: Pool, seconds: float, tests: int) -> float:
    cells = tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(tests))
    count, serial, start = 0, 0, time.monotonic()
    while time.monotonic() - start < seconds:
        # A comment apart, so that no two programs are the same text.
        programs = tuple(Program(f"c{at}", f"{PROGRAM}# {serial + at}") for at in range(16))
        serial += len(programs)
        async for outcome in pool.execute(ExecuteItem(f"bench-{serial}", programs, cells)):
            if outcome.verdict is not Verdict.PASS:
                raise RuntimeError(f"expected PASS, got {outcome.verdict} ({outcome.detail})")
            count += 1
    return count / (time.monotonic() - start)


def _subprocess_rate(seconds: float) -> float:
    count, start = 0, time.monotonic()
    while time.monotonic() - start < seconds:
        command = [sys.executable, "-I", "-S", "-c", f"{PROGRAM}assert f(1) == 2"]
        subprocess.run(command, check=True)
        count += 1
    return count / (time.monotonic() - start)


def _fork_rate(seconds: float) -> float:
    command = [sys.executable, "-I", "-S", "-c", _FORK_LOOP, str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
