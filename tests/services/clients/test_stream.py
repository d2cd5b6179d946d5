"""The client's stream against real servers that refuse, break off, stall or answer twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.clients import PairBuilderClient, StreamSettings
from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError, Overloaded, Unavailable, UnknownName
from roundsmith.serve import Binding, answer_items, listening
from roundsmith.types import Example, Provenance
from roundsmith.v1 import pair_builder_pb2 as pb2
from roundsmith.v1 import pair_builder_pb2_grpc
from roundsmith.wire import rows_to_message, to_message
from tests.services.serve.world import NAME, connected, group, serving

Work = Callable[[pb2.BuildStreamRequest], AsyncIterator[str]]
QUICK = StreamSettings(give_up_s=120.0, first_backoff_s=0.01, max_backoff_s=0.02)


def answer(name: str, result: str | status_pb2.Status, last: bool) -> pb2.BuildStreamResponse:
    """A response that carries one text."""
    if isinstance(result, status_pb2.Status):
        return pb2.BuildStreamResponse(item_id=name, error=result, last=last)
    (row,) = rows_to_message([Example(name, "", result, Provenance("t", "r", 1))]).rows
    return pb2.BuildStreamResponse(item_id=name, rows=pb2.RowList(rows=[row]), last=last)


class Servicer:
    """Answers each item by `work`; ends the streams after as many answers as `ends` says."""

    def __init__(self, work: Work, ends: tuple[int, ...] = ()) -> None:
        self._work, self._ends = work, list(ends)
        self.streams = 0

    def add(self, server: grpc.aio.Server) -> None:
        """Puts its one method on a server."""
        method = grpc.stream_stream_rpc_method_handler(
            self._build_stream,
            pb2.BuildStreamRequest.FromString,
            pb2.BuildStreamResponse.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler(NAME, {"BuildStream": method})
        server.add_generic_rpc_handlers((handler,))

    async def _build_stream(
        self, requests: AsyncIterator[pb2.BuildStreamRequest], context: Any
    ) -> AsyncIterator[pb2.BuildStreamResponse]:
        self.streams += 1
        left = self._ends.pop(0) if self._ends else None
        async for response in answer_items(
            requests, lambda r: r.item_id, lambda r: r.cancel_item_id, self._work, answer, 64
        ):
            if left == 0:
                return
            left = None if left is None else left - 1
            yield response


@asynccontextmanager
async def client_of(
    servicer: Servicer, stream: StreamSettings = QUICK
) -> AsyncIterator[PairBuilderClient]:
    """A client of the servicer in a server of its own."""
    bindings = [Binding(NAME, servicer.add)]
    async with (
        listening(bindings, ServeSettings(drain_s=1.0)) as addresses,
        connected(addresses["address"], stream) as client,
    ):
        yield client


async def ask(client: PairBuilderClient, *names: str) -> list[Any]:
    """The texts that answer these items, or the errors, in their order."""

    async def one(name: str) -> list[str]:
        answers = await client.stream.call(pb2.BuildStreamRequest(request_id="r", item_id=name))
        return [row.example.completion for a in answers for row in a.rows.rows]

    return await asyncio.gather(*map(one, names), return_exceptions=True)


async def twice(request: pb2.BuildStreamRequest) -> AsyncIterator[str]:
    """Two results for an item, told apart from any other's."""
    for number in range(2):
        await asyncio.sleep(0)
        yield f"{request.item_id}.{number}"


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=5).map(tuple))
def test_however_a_stream_breaks_every_item_is_answered_once(ends: tuple[int, ...]) -> None:
    names = [f"i{number}" for number in range(8)]

    async def play() -> None:
        async with client_of(Servicer(twice, ends)) as client:
            assert await ask(client, *names) == [[f"{name}.0", f"{name}.1"] for name in names]

    asyncio.run(play())


def test_an_overloaded_server_is_asked_again_after_the_time_it_names() -> None:
    times: list[float] = []

    async def full_at_first(request: pb2.BuildStreamRequest) -> AsyncIterator[str]:
        times.append(time.monotonic())
        if len(times) < 3:
            raise Overloaded("full", 0.2)
        yield "done"

    async def play() -> None:
        async with client_of(Servicer(full_at_first)) as client:
            assert await ask(client, "a") == [["done"]]
            assert client.stream.retries == 2

    asyncio.run(play())
    assert all(0.2 <= after - before < 120 for before, after in pairwise(times))


def test_the_servers_error_reaches_its_item_alone() -> None:
    async def work(request: pb2.BuildStreamRequest) -> AsyncIterator[str]:
        if request.item_id == "bad":
            raise UnknownName("no such thing")
        yield "good"

    async def play() -> None:
        async with client_of(Servicer(work)) as client:
            bad, good = await ask(client, "bad", "good")
            assert type(bad) is UnknownName
            assert good == ["good"]

    asyncio.run(play())


def test_what_a_server_says_it_can_not_serve_is_sent_again_and_in_the_end_given_up() -> None:
    asked: list[str] = []

    async def work(request: pb2.BuildStreamRequest) -> AsyncIterator[str]:
        asked.append(request.item_id)
        if request.item_id == "never" or asked.count(request.item_id) < 3:
            raise Unavailable("the engine died")
        yield "done"

    async def play() -> None:
        patience = StreamSettings(max_sends=4, first_backoff_s=0.01, max_backoff_s=0.02)
        async with client_of(Servicer(work), patience) as client:
            assert await ask(client, "a") == [["done"]]
            assert asked == ["a"] * 3
            (failure,) = await ask(client, "never")
            assert "'never': sent 4 times, never answered: the engine died" in str(failure)

    asyncio.run(play())


def test_an_item_that_ends_every_stream_is_given_up() -> None:
    async def play() -> None:
        servicer = Servicer(twice, ends=(0,) * 50)
        patience = StreamSettings(max_sends=4, first_backoff_s=0.01, max_backoff_s=0.02)
        async with client_of(servicer, patience) as client:
            (failure,) = await ask(client, "poison")
            assert type(failure) is Unavailable
            assert "'poison': sent 4 times" in str(failure)
            assert servicer.streams == 4

    asyncio.run(play())


def test_an_item_that_is_too_large_or_under_way_harms_no_other(tmp_path: Path) -> None:
    async def play() -> None:
        async with client_of(Servicer(twice), StreamSettings(max_message_bytes=100)) as client:
            name = "n" * 200
            large, one, same, other = await ask(client, name, "a", "a", "b")
            assert [type(failure) for failure in (large, same)] == [ConfigError] * 2
            assert "expected at most 100 bytes" in str(large)
            assert "'a'" in str(same)
            assert (one, other) == (["a.0", "a.1"], ["b.0", "b.1"])

    asyncio.run(play())


def test_a_message_beyond_the_servers_limit_is_an_error_and_not_sent_for_ever(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        async with (
            serving(tmp_path, max_message_bytes=1000) as addresses,
            connected(addresses["address"]) as client,
        ):
            with pytest.raises(ConfigError, match="RESOURCE_EXHAUSTED"):
                await client.build("echo", {}, 1, group(description="x" * 2000))
            assert len(await client.build("echo", {}, 1, group())) == 1

    asyncio.run(play())


async def stalled(begun: list[str], cancelled: list[str]) -> AsyncIterator[str]:
    """Never answers; notes that it began and that it was cancelled."""
    begun.append("begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled.append("cancelled")
        raise
    yield ""


async def until(condition: Callable[[], bool]) -> None:
    """Returns as soon as the condition holds; fails after two minutes."""
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_a_client_that_goes_away_frees_the_work_and_leaves_no_task(how: str) -> None:
    begun: list[str] = []
    cancelled: list[str] = []

    async def play() -> None:
        servicer = Servicer(lambda request: stalled(begun, cancelled))
        async with client_of(servicer) as client:
            pending = [asyncio.create_task(ask_one(client, name)) for name in "ab"]
            await until(lambda: len(begun) == 2)
            if how == "cancel":
                for task in pending:
                    task.cancel()
            else:
                await client.stream.close()
            ends = await asyncio.gather(*pending, return_exceptions=True)
            expected = asyncio.CancelledError if how == "cancel" else Unavailable
            assert [type(end) for end in ends] == [expected] * 2
            await until(lambda: len(cancelled) == 2)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in left if "roundsmith" in repr(task)]

    asyncio.run(play())


def ask_one(client: PairBuilderClient, name: str) -> Coroutine[Any, Any, Any]:
    """The raw answers to one item."""
    return client.stream.call(pb2.BuildStreamRequest(request_id="r", item_id=name))


def test_one_item_given_up_ends_at_the_server_and_may_be_asked_again() -> None:
    ended: list[str] = []
    hold: dict[str, asyncio.Event] = {}

    async def held(request: pb2.BuildStreamRequest) -> AsyncIterator[str]:
        try:
            yield "first"
            await hold.setdefault(request.item_id, asyncio.Event()).wait()
            yield "second"
        except asyncio.CancelledError:
            ended.append(request.item_id)
            raise

    async def play() -> None:
        servicer = Servicer(held)
        async with client_of(servicer) as client:
            stays = asyncio.create_task(ask(client, "stays"))
            for _ in range(3):
                hold.pop("leaves", None)
                leaves = asyncio.create_task(ask_one(client, "leaves"))
                await until(lambda: "leaves" in hold)
                leaves.cancel()
                await asyncio.gather(leaves, return_exceptions=True)
            hold.pop("leaves")
            again = asyncio.create_task(ask(client, "leaves"))
            await until(lambda: "leaves" in hold and len(ended) == 3)
            hold["leaves"].set()
            assert await again == [["first", "second"]]
            assert not stays.done()
            hold["stays"].set()
            assert await stays == [["first", "second"]]
            assert (ended, servicer.streams, client.stream.retries) == (["leaves"] * 3, 1, 0)

    asyncio.run(play())


def test_a_client_works_again_after_its_callers_gave_up() -> None:
    async def slow_at_first(request: pb2.BuildStreamRequest) -> AsyncIterator[str]:
        if request.item_id == "slow":
            await asyncio.Event().wait()
        yield "done"

    async def play() -> None:
        async with client_of(Servicer(slow_at_first)) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await ask_one(client, "slow")
            assert await ask(client, "quick") == [["done"]]

    asyncio.run(play())


def test_a_call_in_the_tick_that_ends_the_last_one_gets_a_connection_of_its_own() -> None:
    begun: list[str] = []

    async def slow_at_first(request: pb2.BuildStreamRequest) -> AsyncIterator[str]:
        begun.append(request.item_id)
        if request.item_id.startswith("slow"):
            await asyncio.Event().wait()
        yield "done"

    async def play() -> None:
        async with client_of(Servicer(slow_at_first)) as client:
            for number in range(5):
                slow = asyncio.create_task(ask_one(client, f"slow {number}"))
                await until(lambda: f"slow {number}" in begun)  # noqa: B023  # awaited here
                slow.cancel()
                quick = asyncio.create_task(ask_one(client, f"quick {number}"))
                assert len(await quick) == 1
            assert client.stream.retries == 0
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in left if "roundsmith" in repr(task)]

    asyncio.run(play())


def test_a_closed_client_says_so() -> None:
    async def play() -> None:
        async with client_of(Servicer(twice)) as client:
            await client.stream.close()
            with pytest.raises(Unavailable, match="closed"):
                await ask_one(client, "a")

    asyncio.run(play())


def test_a_stream_outlives_its_deadline() -> None:
    async def slow(request: pb2.BuildStreamRequest) -> AsyncIterator[str]:
        await asyncio.sleep(0.05 * int(request.item_id))
        yield "done"

    async def play() -> None:
        servicer = Servicer(slow)
        brief = StreamSettings(deadline_s=2.0, first_backoff_s=0.01, max_sends=100)
        async with client_of(servicer, brief) as client:
            for wave in range(6):
                assert await ask(client, "1", "8") == [["done"]] * 2, wave
        assert servicer.streams > 1

    asyncio.run(play())


def test_an_answer_slower_than_the_patience_for_silence_is_waited_for() -> None:
    async def slow(request: pb2.BuildStreamRequest) -> AsyncIterator[str]:
        await asyncio.sleep(5.0)
        yield "done"

    async def play() -> None:
        async with client_of(Servicer(slow), StreamSettings(give_up_s=3.0)) as client:
            assert await ask(client, "a") == [["done"]]

    asyncio.run(play())


def test_an_item_sent_again_is_answered_from_what_was_done_before(tmp_path: Path) -> None:
    note = tmp_path / "note"
    request = pb2.BuildStreamRequest(
        request_id="mine",
        item_id="i",
        selection=pb2.Selection(
            recipe="echo", config_json=f'{{"note": "{note}", "pause_s": 0.2}}', seed=1
        ),
        group=to_message(group()),
    )

    async def play() -> None:
        async with serving(tmp_path) as addresses:
            async with (
                connected(addresses["address"]) as one,
                connected(addresses["address"]) as two,
            ):
                together = await asyncio.gather(one.stream.call(request), two.stream.call(request))
            async with connected(addresses["address"]) as later:
                again = await later.stream.call(request)
            assert together[0] == together[1] == again
            assert note.read_text().count("\n") == 1
            stranger = (("x-roundsmith-client", "other"),)
            async with grpc.aio.insecure_channel(addresses["address"]) as channel:
                stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)
                call = stub.BuildStream(iter([request]), timeout=120, metadata=stranger)
                assert [response async for response in call] == again
            assert note.read_text().count("\n") == 2

    asyncio.run(play())
