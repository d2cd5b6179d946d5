"""How soon a slot is free again when the client gives up what runs there, or its deadline ends."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import grpc

from roundsmith.bench import BenchResult
from roundsmith.executor.bench.served import DEADLINE_S, Served
from roundsmith.types import AssertTest, ExecuteItem, Limits, Program
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.wire import to_message

_ENDLESS = "def f(x):\n    while True: pass\n"
_TIMES = 20
_RUNNING_S, _LOOK_S = 0.05, 0.001
_ENDS_S = 0.2
"""The deadline of a call that is left to it."""
_PROMISED_S = 0.1


async def cancels(served: Served) -> list[BenchResult]:
    """The slowest of some: from the client's message that gives an endless program up, and from its
    deadline, to the slot being free for another, beside the most that is promised.
    """
    ways = ("cancel", _cancel), ("deadline", _deadline)
    return [await _slowest(served, name, give_up) for name, give_up in ways]


async def _slowest(
    served: Served, name: str, give_up: Callable[[Served, pb2.ExecuteItem], Awaitable[float]]
) -> BenchResult:
    slowest_s = max([await give_up(served, _item(f"{name}-{at}")) for at in range(_TIMES)])
    return BenchResult(
        f"a slot is free after a {name}, slowest of {_TIMES}, {served.place}",
        1000 * slowest_s,
        "ms",
        "the most that is promised",
        1000 * _PROMISED_S,
        _PROMISED_S / slowest_s,
    )


def _item(name: str) -> pb2.ExecuteItem:
    program = Program("c", f"{_ENDLESS}# {name}\n")
    test = AssertTest("t", "assert f(1) == 2")
    item = ExecuteItem(name, (program,), (test,), limits=Limits(cpu_s=DEADLINE_S))
    message: pb2.ExecuteItem = to_message(item)
    return message


async def _cancel(served: Served, item: pb2.ExecuteItem) -> float:
    call = served.stub.ExecuteStream(timeout=DEADLINE_S)
    await call.write(pb2.ExecuteStreamRequest(item=item))
    while not served.pool.slots()["busy"]:
        await asyncio.sleep(_LOOK_S)
    await asyncio.sleep(_RUNNING_S)
    start = time.monotonic()
    await call.write(pb2.ExecuteStreamRequest(cancel_item_id=item.item_id))
    await _free(served)
    freed_s = time.monotonic() - start
    await call.done_writing()
    await call.read()
    return freed_s


async def _deadline(served: Served, item: pb2.ExecuteItem) -> float:
    ends = time.monotonic() + _ENDS_S
    with contextlib.suppress(grpc.aio.AioRpcError):
        await served.stub.Execute(pb2.ExecuteRequest(item=item), timeout=_ENDS_S)
    await _free(served)
    return max(time.monotonic() - ends, _LOOK_S)


async def _free(served: Served) -> None:
    while served.pool.slots()["busy"]:
        await asyncio.sleep(_LOOK_S)
