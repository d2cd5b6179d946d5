"""Items of a stream are begun, answered and given up as promised; no channel needed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.rpc import status_pb2

from roundsmith.errors import ConfigError, RoundsmithError
from roundsmith.serve import ItemResults, answer_items
from tests.services.serve.item_work import (
    KEY,
    Number,
    Work,
    collect,
    count,
    feed,
    given_up,
    in_loop,
    response,
    settle,
)


@in_loop
async def test_a_bad_item_is_answered_by_its_status_and_ends_no_stream() -> None:
    names = ("2", "bad", "0", "bug", "1")
    found = await collect(answer_items(feed(*names), str, given_up, count, response, 8))
    assert sorted(found, key=str) == sorted(
        [
            ("2", 0, False),
            ("2", 1, True),
            ("bad", "error 3", True),
            ("0", "error 2", True),
            ("bug", "error 2", True),
            ("1", 0, True),
        ],
        key=str,
    )


@in_loop
async def test_what_a_bad_item_holds_makes_no_answer_that_is_too_large_for_its_stream() -> None:
    async def refuse(name: str) -> AsyncIterator[int]:
        yield 1
        raise ConfigError(f"{name!r}: expected something shorter")

    def whole(_: str, told: int | status_pb2.Status, last: bool) -> tuple[Any, bool]:
        return told, last

    name = "\0" * 2**20
    bad = answer_items(feed(name), lambda _: "bad", given_up, refuse, whole, 1)
    *_, (told, last) = await collect(bad)
    assert last
    assert told.ByteSize() < 2**17
    assert told.message.endswith(" ...")


@in_loop
async def test_requests_are_read_only_as_fast_as_items_are_answered() -> None:
    read, most = 0, 3

    async def requests() -> AsyncIterator[str]:
        nonlocal read
        for _ in range(20):
            read += 1
            yield f"{read} of 20"

    async def once(name: str) -> AsyncIterator[int]:
        yield 1

    answers = answer_items(requests(), str, given_up, once, response, most)
    taken = 0
    async for name, _, _ in answers:
        await settle()
        assert read <= taken + most + 1
        taken += 1
        assert name == f"{taken} of 20"
    assert taken == 20


@in_loop
async def test_who_may_send_no_more_items_is_heard_when_one_is_given_up() -> None:
    requests, most = asyncio.Queue[str](), 3

    async def sent() -> AsyncIterator[str]:
        while request := await requests.get():
            yield request

    async def hang(name: str) -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 1

    for request in ("a", "b", "c", "-b"):
        requests.put_nowait(request)
    answers: Any = answer_items(sent(), str, given_up, hang, response, most)
    async with asyncio.timeout(60):
        assert await anext(answers) == ("b", "error 1", True)
        for request in ("d", "-a"):  # b's place is d's, and a is given up while all are taken again
            requests.put_nowait(request)
        assert await anext(answers) == ("a", "error 1", True)
    await answers.aclose()


@in_loop
async def test_a_second_item_of_an_id_that_is_not_answered_is_refused_and_the_first_goes_on() -> (
    None
):
    requests: asyncio.Queue[str] = asyncio.Queue()
    begun: list[Work] = []

    async def sent() -> AsyncIterator[str]:
        while request := await requests.get():
            yield request

    def work(name: str) -> AsyncIterator[Number]:
        begun.append(Work())
        return begun[-1]()

    def told(name: str, result: Any, last: bool) -> tuple[str, Any, bool]:
        return (name, getattr(result, "message", result), last)

    answers: Any = answer_items(sent(), str, given_up, work, told, 8)
    for request in ("a", "a"):
        requests.put_nowait(request)
    name, message, last = await anext(answers)
    assert (name, last) == ("a", True)
    assert message.startswith("item_id: saw 'a' while an item of that id is not answered yet")
    assert len(begun) == 1
    for number in (7, None):
        begun[0].queue.put_nowait(number)
    assert await anext(answers) == ("a", 7, True)
    requests.put_nowait("a")  # it is answered, so that its id is free
    await settle()
    assert len(begun) == 2
    for request in ("-a", "a"):  # and so is that of one that is given up
        requests.put_nowait(request)
    name, message, last = await anext(answers)
    assert "given up by its caller" in message
    for number in (8, None):
        begun[2].queue.put_nowait(number)
    assert await anext(answers) == ("a", 8, True)
    requests.put_nowait("")
    assert await collect(answers) == []


@in_loop
async def test_where_the_number_of_results_is_known_none_waits_for_the_next_or_the_end() -> None:
    work = Work()
    answers: Any = answer_items(
        feed("a"),
        str,
        given_up,
        lambda _: work(),
        response,
        8,
        lambda result: result < 0,
        lambda request: 2,
    )
    async with asyncio.timeout(60):
        for number, last in ((1, False), (-1, False), (2, True)):
            work.queue.put_nowait(number)
            assert await anext(answers) == ("a", number, last)
    work.queue.put_nowait(None)
    assert await collect(answers) == []
    assert work.cancelled == 0


@in_loop
async def test_work_with_fewer_results_than_it_has_is_an_error() -> None:
    short: Any = answer_items(
        feed("1"), str, given_up, count, response, 8, num_results=lambda request: 2
    )
    assert await collect(short) == [("1", 0, False), ("1", "error 2", True)]


@in_loop
async def test_closing_a_stream_cancels_its_items() -> None:
    results, work = ItemResults[Number](60.0, 10, 1000), Work()

    async def open_requests() -> AsyncIterator[str]:
        yield "a"
        await asyncio.Event().wait()

    answers: Any = answer_items(
        open_requests(), str, given_up, lambda _: results.follow(KEY, work), response, 8
    )
    for number in (1, 2):
        work.queue.put_nowait(number)
    assert await anext(answers) == ("a", 1, False)
    await answers.aclose()
    await settle()
    assert work.cancelled == 1


@in_loop
async def test_an_item_that_is_given_up_ends_alone_and_is_answered_once() -> None:
    results, works = ItemResults[Number](60.0, 10, 1000), {name: Work() for name in "ab"}
    requests: asyncio.Queue[str] = asyncio.Queue()

    async def sent() -> AsyncIterator[str]:
        while request := await requests.get():
            yield request

    def work(name: str) -> AsyncIterator[Number]:
        return results.follow((name,), works[name])

    for request in ("a", "b", "-a", "-c"):
        requests.put_nowait(request)
    answers = answer_items(sent(), str, given_up, work, response, 8)
    assert await anext(answers) == ("a", "error 1", True)
    assert (works["a"].cancelled, works["b"].cancelled) == (0, 0)  # it had not begun
    requests.put_nowait("a")
    await settle()
    requests.put_nowait("-a")
    assert await anext(answers) == ("a", "error 1", True)
    assert (works["a"].cancelled, works["b"].cancelled) == (1, 0)
    for end in (7, None):
        works["b"].queue.put_nowait(end)
    assert await anext(answers) == ("b", 7, True)
    for request in ("-b", ""):
        requests.put_nowait(request)
    assert await collect(answers) == []


@in_loop
async def test_items_given_up_leave_room_for_others() -> None:
    names = [name for number in range(20) for name in ("1", "-1")]
    found = await collect(answer_items(feed(*names, "2"), str, given_up, count, response, 2))
    assert len(found) == 22
    assert found[-1] == ("2", 1, True)


@in_loop
async def test_a_broken_reader_ends_the_stream_with_its_error() -> None:
    async def broken() -> AsyncIterator[str]:
        yield "1"
        raise RoundsmithError("broken")

    with pytest.raises(ExceptionGroup), contextlib.suppress(StopAsyncIteration):
        await collect(answer_items(broken(), str, given_up, count, response, 8))


@in_loop
async def test_who_reads_slowly_has_only_so_many_answers_waiting() -> None:
    made = 0

    async def work(request: str) -> AsyncIterator[int]:
        nonlocal made
        for made in range(1, 20_001):
            yield made

    async def requests() -> AsyncIterator[str]:
        yield "i"

    answers = answer_items(requests(), str, lambda request: "", work, response, 8)
    assert await anext(answers) == ("i", 1, False)
    await settle()
    assert made < 5000
    rest = [answer async for answer in answers]
    assert [number for _, number, _ in rest] == list(range(2, 20_001))


@in_loop
async def test_who_reads_slowly_has_only_so_many_bytes_waiting() -> None:
    made = 0

    async def work(request: str) -> AsyncIterator[int]:
        nonlocal made
        for made in range(1, 101):
            yield made

    def large(name: str, result: int | status_pb2.Status, last: bool) -> status_pb2.Status:
        return status_pb2.Status(code=result if isinstance(result, int) else 0, message="x" * 2**20)

    answers = answer_items(feed("i"), str, lambda request: "", work, large, 8)
    assert (await anext(answers)).code == 1
    await settle()
    assert made < 25
    assert [answer.code async for answer in answers] == list(range(2, 101))
