"""What time-outs cost: CPU beyond their limit, and the latency of honest programs beside them."""

import asyncio
import statistics
import time

from roundsmith.bench import BenchResult
from roundsmith.cpu_time import tree_cpu_s
from roundsmith.executor.bench.served import Served
from roundsmith.types import AssertTest, ExecuteItem, Limits, Program
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.wire import to_message

_LIMITS = Limits(cpu_s=0.1)
# What meets a fresh child may use twice its limit, so that nothing is asked again.
_MOST_S = 2 * _LIMITS.cpu_s
_TEST = AssertTest("t", "assert f(1) == 2")
_HONEST, _ENDLESS = "def f(x):\n    return x + 1\n", "def f(x):\n    while True: pass\n"
_TIMED_OUT = 10
_CALLS = 200
_DEADLINE_S = 120.0


async def timeouts(served: Served) -> list[BenchResult]:
    """The CPU time of a cell that times out beside the most that it may use, and the 99th
    percentile of the latency of a call with one honest program, one call in ten timing out beside
    nine such, beside the same without them.
    """
    cpu_s = tree_cpu_s()
    for serial in range(_TIMED_OUT):
        await _call(served, _ENDLESS, f"cost-{serial}", pb2.VERDICT_CPU_TIMEOUT)
    cost_s = (tree_cpu_s() - cpu_s) / _TIMED_OUT
    alone_s = await _p99_s(served, "alone", 0)
    beside_s = await _p99_s(served, "beside", 10)
    return [
        BenchResult(
            f"a time-out, {served.place}", cost_s, "CPU s", "its limit", _MOST_S, _MOST_S / cost_s
        ),
        BenchResult(
            f"p99 of an honest call beside 10 % time-outs, {served.place}",
            1000 * beside_s,
            "ms",
            "without time-outs",
            1000 * alone_s,
            alone_s / beside_s,
        ),
    ]


async def _p99_s(served: Served, name: str, every: int) -> float:
    latencies: list[float] = []
    serials = iter(range(_CALLS))

    async def work() -> None:
        for serial in serials:
            if every and serial % every == 0:
                await _call(served, _ENDLESS, f"{name}-{serial}", pb2.VERDICT_CPU_TIMEOUT)
                continue
            start = time.monotonic()
            await _call(served, _HONEST, f"{name}-{serial}", pb2.VERDICT_PASS)
            latencies.append(time.monotonic() - start)

    await asyncio.gather(work(), work())
    return statistics.quantiles(latencies, n=100)[98]


async def _call(served: Served, source: str, name: str, expected: "pb2.Verdict.ValueType") -> None:
    program = Program("c", f"{source}# {name}\n")
    item = to_message(ExecuteItem(name, (program,), (_TEST,), limits=_LIMITS))
    answer = await served.stub.Execute(pb2.ExecuteRequest(item=item), timeout=_DEADLINE_S)
    (outcome,) = answer.outcomes
    if outcome.verdict != expected:
        raise RuntimeError(f"{name}: expected {pb2.Verdict.Name(expected)}, saw {outcome}")
