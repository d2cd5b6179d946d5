"""Items are followed, bounded and forgotten as promised; no channel needed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.errors import Overloaded, Unavailable
from roundsmith.serve import ItemResults, item_key
from roundsmith.v1 import pair_builder_pb2 as pb2
from tests.services.serve.item_work import (
    KEY,
    NUMBER_BYTES,
    Number,
    Work,
    collect,
    in_loop,
    settle,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["put", "join", "step"]), max_size=30))
def test_every_follower_sees_every_result_once_and_in_order(steps: list[str]) -> None:
    async def play() -> None:
        results, work = ItemResults[Number](60.0, 10, 1000), Work()
        followers = [asyncio.create_task(collect(results.follow(KEY, work)))]
        for number, step in enumerate(steps):
            match step:
                case "put":
                    work.queue.put_nowait(number)
                case "join":
                    followers.append(asyncio.create_task(collect(results.follow(KEY, work))))
                case "step":
                    await asyncio.sleep(0)
        work.queue.put_nowait(None)
        expected = [number for number, step in enumerate(steps) if step == "put"]
        assert await asyncio.gather(*followers) == [expected] * len(followers)
        assert await collect(results.follow(KEY, work)) == expected
        assert work.begun == 1

    asyncio.run(play())


@in_loop
async def test_work_that_nobody_follows_any_more_is_cancelled_and_begun_again() -> None:
    results, work = ItemResults[Number](60.0, 10, 1000), Work()
    both = [asyncio.create_task(collect(results.follow(KEY, work))) for _ in range(2)]
    await settle()
    both[0].cancel()
    await settle()
    assert work.cancelled == 0
    both[1].cancel()
    await settle()
    assert work.cancelled == 1
    for item in (7, None):
        work.queue.put_nowait(item)
    assert await collect(results.follow(KEY, work)) == [7]
    assert work.begun == 2


@in_loop
async def test_an_error_is_told_and_not_kept() -> None:
    results, tries = ItemResults[Number](60.0, 10, 1000), iter([Overloaded("full", 2.0), None])

    async def work() -> AsyncIterator[Number]:
        if (error := next(tries)) is not None:
            raise error
        yield Number(1)

    with pytest.raises(Overloaded, match="full"):
        await collect(results.follow(KEY, work))
    assert await collect(results.follow(KEY, work)) == [1]


@in_loop
async def test_cancelled_work_is_never_a_short_success() -> None:
    results = ItemResults[Number](60.0, 10, 1000)

    async def work() -> AsyncIterator[Number]:
        yield Number(1)
        raise asyncio.CancelledError

    for _ in range(2):
        with pytest.raises(Unavailable):
            await collect(results.follow(KEY, work))


@in_loop
async def test_results_are_forgotten_after_their_time_and_beyond_their_number() -> None:
    begun = []

    async def answer(results: ItemResults[Number], name: str) -> None:
        async def work() -> AsyncIterator[Number]:
            begun.append(name)
            yield Number(1)

        assert await collect(results.follow((name,), work)) == [1]

    short, few = ItemResults[Number](2.0, 10, 1000), ItemResults[Number](60.0, 2, 1000)
    for name in ("a", "a"):
        await answer(short, name)
    await asyncio.sleep(2.1)
    await answer(short, "a")
    assert begun == ["a", "a"]
    begun.clear()
    for name in ("a", "b", "c", "d", "d", "a"):
        await answer(few, name)
    assert begun == ["a", "b", "c", "d", "a"]


@in_loop
async def test_results_are_forgotten_beyond_their_bytes_and_one_too_large_is_not_kept() -> None:
    results, begun = ItemResults[Number](60.0, 10, 4 * NUMBER_BYTES), []

    async def answer(name: str, parts: int) -> None:
        async def work() -> AsyncIterator[Number]:
            begun.append(name)
            for number in range(parts):
                yield Number(number)

        assert await collect(results.follow((name,), work)) == list(range(parts))

    for name, parts in (("a", 2), ("b", 2), ("a", 2), ("c", 1), ("b", 2), ("a", 2)):
        await answer(name, parts)
    assert begun == ["a", "b", "c", "a"]
    begun.clear()
    for _ in range(2):
        await answer("large", 5)
    assert begun == ["large", "large"]


@in_loop
async def test_case_79_too_many_unfinished_items_are_refused_with_a_time_to_wait() -> None:
    results, work = ItemResults[Number](60.0, 10, 1000, max_running=1), Work()
    first = asyncio.create_task(collect(results.follow(("a",), work)))
    await settle()
    with pytest.raises(Overloaded) as refused:
        await collect(results.follow(("b",), work))
    assert refused.value.retry_after_s > 0
    work.queue.put_nowait(None)
    await first
    work.queue.put_nowait(None)
    assert await collect(results.follow(("b",), work)) == []


def test_items_are_the_same_by_caller_ids_and_content_and_never_without_a_request_id() -> None:
    request = pb2.BuildRequest(request_id="r", item_id="i")
    stream = pb2.BuildStreamRequest(request_id="r", item_id="i")
    key = item_key("caller", "r", "i", request)
    assert key == item_key("caller", "r", "i", stream)
    assert key != item_key("other", "r", "i", request)
    assert key != item_key("caller", "r", "i", pb2.BuildRequest(request_id="r", item_id="j"))
    assert item_key("caller", "", "i", request) != item_key("caller", "", "i", request)


def test_what_is_kept_of_an_item_beside_its_results_is_short_however_long_its_ids_are() -> None:
    long = "i" * 2**20
    request = pb2.BuildRequest(request_id=long, item_id=long)
    assert sum(map(len, item_key("caller", long, long, request))) < 300


@in_loop
async def test_many_results_are_followed_from_the_first_on_while_they_come_and_afterwards() -> None:
    results, work = ItemResults[Number](60.0, 10, 10**6), Work()
    early = asyncio.create_task(collect(results.follow(KEY, work)))
    for number in range(1000):
        work.queue.put_nowait(number)
    await settle()
    late = asyncio.create_task(collect(results.follow(KEY, work)))
    await settle()
    work.queue.put_nowait(1000)
    work.queue.put_nowait(None)
    everything = list(range(1001))
    assert await early == await late == everything
    assert await collect(results.follow(KEY, work)) == everything
    assert work.begun == 1
