"""Outcomes that come together in a message, through a real channel."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest

from roundsmith.config import ServeSettings
from roundsmith.executor.pool import Pool
from roundsmith.executor.service import bindings
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.serve import listening
from roundsmith.types import CallTest, ExecuteItem, Program
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.v1 import executor_pb2_grpc
from roundsmith.wire import to_message

SOURCE = "def f(x):\n    return x + 1\n"
TESTS = tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(4000))
"""More, with a few programs, than may wait anywhere between the sandbox and a caller."""


def item(num_tests: int) -> pb2.ExecuteItem:
    tests = tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(num_tests))
    found = to_message(ExecuteItem("i", (Program("c", SOURCE),), tests, rerun_share=0.0))
    assert isinstance(found, pb2.ExecuteItem)
    return found


def with_stub(work: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        serve = ServeSettings()
        given = ExecutorSettings.model_validate({"slots": 1, "highest": "T1"})
        async with (
            Pool(given) as pool,
            listening(bindings(pool, serve), serve) as addresses,
            grpc.aio.insecure_channel(addresses["address"]) as channel,
        ):
            await work(executor_pb2_grpc.ExecutorServiceStub(channel))

    asyncio.run(main())


async def streamed(stub: Any, request: pb2.ExecuteStreamRequest) -> list[tuple[str, int]]:
    """What each message is, and how many outcomes it has."""

    async def requests() -> AsyncIterator[pb2.ExecuteStreamRequest]:
        yield request

    told = []
    async for answer in stub.ExecuteStream(requests(), timeout=600):
        together = answer.WhichOneof("result") == "outcomes"
        told.append((answer.WhichOneof("result"), len(answer.outcomes.outcomes) if together else 1))
    return told


def test_each_way_to_ask_for_the_same_ids_has_its_own_kind_of_answer() -> None:
    async def work(stub: Any) -> None:
        asked = item(3)
        for request_id, together in (("a", False), ("b", True)):
            streaming = pb2.ExecuteStreamRequest(
                request_id=request_id, item=asked, together=together
            )
            for _ in range(2):
                told = await streamed(stub, streaming)
                assert {kind for kind, _ in told} == {"outcomes" if together else "outcome"}
                assert sum(count for _, count in told) == 3
                whole = pb2.ExecuteRequest(request_id=request_id, item=asked)
                assert len((await stub.Execute(whole, timeout=600)).outcomes) == 3
        whole = pb2.ExecuteRequest(request_id="c", item=asked)
        assert len((await stub.Execute(whole, timeout=600)).outcomes) == 3
        alone = pb2.ExecuteStreamRequest(request_id="c", item=asked)
        assert await streamed(stub, alone) == [("outcome", 1)] * 3

    with_stub(work)


def test_what_a_message_leaves_out_of_its_limits_takes_the_default_and_what_it_says_stands() -> (
    None
):
    """Of bare messages, as a client in another language writes them."""

    async def work(stub: Any) -> None:
        asked = item(1)
        asked.ClearField("limits")
        asked.ClearField("profile")
        asked.programs[0].source = f"large = bytearray(2**27)\n{SOURCE}"
        (outcome,) = (await stub.Execute(pb2.ExecuteRequest(item=asked), timeout=60)).outcomes
        assert outcome.verdict == pb2.VERDICT_PASS
        asked.limits.memory_bytes = 2**26
        (outcome,) = (await stub.Execute(pb2.ExecuteRequest(item=asked), timeout=60)).outcomes
        assert outcome.verdict == pb2.VERDICT_MEMORY
        asked.limits.Clear()
        asked.limits.cpu.SetInParent()
        with pytest.raises(grpc.aio.AioRpcError, match=r"expected 0 < cpu_s"):
            await stub.Execute(pb2.ExecuteRequest(item=asked), timeout=60)

    with_stub(work)


def test_a_row_of_many_cells_comes_in_messages_of_a_bounded_size() -> None:
    async def work(stub: Any) -> None:
        for request_id in ("run", "known"):
            told = await streamed(
                stub,
                pb2.ExecuteStreamRequest(request_id=request_id, item=item(600), together=True),
            )
            assert sum(count for _, count in told) == 600
            assert max(count for _, count in told) <= 256, told

    with_stub(work)


def test_nobody_waits_for_a_caller_that_does_not_read_the_same_cells() -> None:
    """Not even what waits for those cells: what is not read is kept, and what runs goes on."""

    async def work(stub: Any) -> None:
        programs = tuple(Program(f"c{at}", f"{SOURCE}# {at}\n") for at in range(4))
        many = to_message(ExecuteItem("i", programs, TESTS, rerun_share=0.0))
        assert isinstance(many, pb2.ExecuteItem)
        unread = stub.ExecuteStream(timeout=900)
        await unread.write(pb2.ExecuteStreamRequest(request_id="unread", item=many))
        await unread.read()
        told = await streamed(stub, pb2.ExecuteStreamRequest(request_id="read", item=many))
        assert len(told) == len(programs) * len(TESTS)
        await unread.done_writing()
        num_read = 1
        while await unread.read() is not grpc.aio.EOF:
            num_read += 1
        assert num_read == len(told)

    with_stub(work)
