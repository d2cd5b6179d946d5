"""How soon a slot is free again when the client gives up what runs there."""

import asyncio
import time

from roundsmith.bench import BenchResult
from roundsmith.executor.bench.served import DEADLINE_S, Served
from roundsmith.types import AssertTest, ExecuteItem, Limits, Program
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.wire import to_message

_ENDLESS = "def f(x):\n    while True: pass\n"
_TIMES = 20
_RUNNING_S, _LOOK_S = 0.05, 0.001
_PROMISED_S = 0.1


async def cancels(served: Served) -> BenchResult:
    """The slowest of some: from the client's message that gives an endless program up to the slot
    being free for another, beside the most that is promised.
    """
    slowest_s = max([await _cancel(served, f"cancel-{at}") for at in range(_TIMES)])
    return BenchResult(
        f"a slot is free after a cancel, slowest of {_TIMES}, {served.place}",
        1000 * slowest_s,
        "ms",
        "the most that is promised",
        1000 * _PROMISED_S,
        _PROMISED_S / slowest_s,
    )


async def _cancel(served: Served, name: str) -> float:
    program = Program("c", f"{_ENDLESS}# {name}\n")
    test = AssertTest("t", "assert f(1) == 2")
    item = to_message(ExecuteItem(name, (program,), (test,), limits=Limits(cpu_s=DEADLINE_S)))
    call = served.stub.ExecuteStream(timeout=DEADLINE_S)
    await call.write(pb2.ExecuteStreamRequest(item=item))
    while not served.pool.slots()["busy"]:
        await asyncio.sleep(_LOOK_S)
    await asyncio.sleep(_RUNNING_S)
    start = time.monotonic()
    await call.write(pb2.ExecuteStreamRequest(cancel_item_id=name))
    while served.pool.slots()["busy"]:
        await asyncio.sleep(_LOOK_S)
    freed_s = time.monotonic() - start
    await call.done_writing()
    await call.read()
    return freed_s
