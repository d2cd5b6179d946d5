"""What a service tells while its model computes nothing: a model that is held in the middle of a
completion, and what does not wait for it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from roundsmith.generator.settings import GeneratorSettings
from roundsmith.types import Completion, GenerateItem, Sampling
from roundsmith.v1 import generator_pb2 as pb2
from roundsmith.v1 import generator_pb2_grpc
from roundsmith.wire import to_message
from tests.services.generator.driven import Driven
from tests.services.generator.serving import client_of, served

PATIENCE_S = 120.0
"""What takes no time; a busy machine may take longer."""
LONG = Sampling(200, temperature=0.0)


class Held:
    """A model that stops before its forward pass of a number, from when it is told on."""

    def __init__(self) -> None:
        self._left, self._going_on = 0, threading.Event()
        self.stopped = threading.Event()

    def after(self, passes: int) -> None:
        """Stop after so many more."""
        self._left = passes
        self._going_on.clear()
        self.stopped.clear()

    def go_on(self) -> None:
        """Stop no more."""
        self._going_on.set()

    def passes(self, module: object, _: object) -> None:
        """Torch tells every module that begins; an embedding begins once a pass."""
        import torch

        if not isinstance(module, torch.nn.Embedding) or self._going_on.is_set():
            return
        if self._left == 0:
            self.stopped.set()
            self._going_on.wait(PATIENCE_S)
        self._left -= 1


@pytest.fixture(scope="module")
def two_slots(tiny: Path) -> Iterator[Driven]:
    """The tiny model with two slots."""
    driven = Driven(GeneratorSettings(model=str(tiny), slots=2))
    yield driven
    driven.close()


@pytest.fixture
def held(two_slots: Driven) -> Iterator[Held]:
    """What holds its model."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    held = Held()
    held.go_on()
    hook = register_module_forward_pre_hook(held.passes)
    yield held
    held.go_on()
    hook.remove()
    two_slots.run(two_slots.idle())


@asynccontextmanager
async def stream_of(driven: Driven, **settings: object) -> AsyncIterator[Any]:
    """An open stream to the engine's service."""
    async with (
        served(driven.engine, **settings) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        call = generator_pb2_grpc.GeneratorServiceStub(channel).GenerateStream(timeout=600)
        yield call
        call.cancel()


def asking(name: str, n: int = 1) -> pb2.GenerateStreamRequest:
    """A request for an item."""
    item = to_message(GenerateItem(name, "def", LONG, 0, n=n))
    return pb2.GenerateStreamRequest(request_id="r", item=item)


def within(work: Callable[[], Awaitable[None]]) -> Any:
    """The work, which ends within PATIENCE_S."""

    async def limited() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await work()

    return limited()


def test_tokens_that_are_drawn_are_told_however_long_the_next_one_takes(
    two_slots: Driven, held: Held
) -> None:
    passes = 9  # the first reads the prompt, and each later one the token drawn before

    async def scenario() -> None:
        async with served(two_slots.engine) as address, client_of(address) as client:
            held.after(passes)
            item = GenerateItem("i", "def", Sampling(30, temperature=0.0), 0, deltas=True)
            ids: list[int] = []
            async for told in client.told(item):
                if isinstance(told, Completion):
                    break
                assert told.offset == len(ids)
                ids += told.token_ids
                if len(ids) == passes:
                    assert await asyncio.to_thread(held.stopped.wait, PATIENCE_S)
                    held.go_on()  # nothing but the timer told the last of these
            assert told.token_ids[: len(ids)] == tuple(ids)
            assert len(told.token_ids) == 30

    two_slots.run(within(scenario))


def test_a_whole_completion_is_told_though_another_of_its_item_goes_on(
    two_slots: Driven, held: Held
) -> None:
    sampling = Sampling(60, stop=("a",))
    items = [GenerateItem(str(seed), "def", sampling, seed, n=2) for seed in range(12)]
    lengths = [[len(one.token_ids) for one in found] for found in two_slots.ask(items)]
    item, (short, long) = next(
        (item, found)
        for item, found in zip(items, lengths, strict=True)
        if min(found) + 5 < max(found)
    )
    done = 0 if short < long else 1

    async def scenario() -> None:
        async with stream_of(two_slots) as stream:
            held.after(min(short, long) + 2)
            await stream.write(pb2.GenerateStreamRequest(request_id="r", item=to_message(item)))
            await stream.done_writing()
            first = await stream.read()
            assert (first.completion.index, first.last) == (done, False)
            assert await asyncio.to_thread(held.stopped.wait, PATIENCE_S)
            held.go_on()
            second = await stream.read()
            assert (second.completion.index, second.last) == (1 - done, True)
            assert await stream.read() is grpc.aio.EOF

    two_slots.run(within(scenario))


def test_an_item_is_given_up_at_once_where_its_stream_may_send_no_more(
    two_slots: Driven, held: Held
) -> None:
    async def scenario() -> None:
        async with stream_of(two_slots, max_items_in_flight=3) as stream:
            held.after(5)
            for name in "abc":
                await stream.write(asking(name))
            for name in "ca":  # one that waits for a slot, and one that has one
                await stream.write(pb2.GenerateStreamRequest(cancel_item_id=name))
                answer = await stream.read()
                assert (answer.item_id, answer.last) == (name, True)
                assert answer.error.code == grpc.StatusCode.CANCELLED.value[0]
            assert await asyncio.to_thread(held.stopped.wait, PATIENCE_S)
            held.go_on()
            answer = await stream.read()
            assert (answer.item_id, answer.last, answer.completion.index) == ("b", True, 0)

    two_slots.run(within(scenario))


def test_a_stream_that_ends_frees_the_slots_of_as_many_items_as_it_may_have(tiny: Path) -> None:
    driven = Driven(GeneratorSettings(model=str(tiny), slots=4))

    async def scenario() -> None:
        async with stream_of(driven) as stream:
            for number in range(1030):
                await stream.write(asking(str(number), n=2))
            while driven.engine.running + driven.engine.waiting < 1000:
                await asyncio.sleep(0.002)
            stream.cancel()
            await driven.idle()

    driven.run(within(scenario))
    driven.close()


def test_a_second_item_of_an_id_is_refused_and_the_first_is_answered(
    two_slots: Driven, held: Held
) -> None:
    async def scenario() -> None:
        async with stream_of(two_slots) as stream:
            held.after(5)
            for number in (1, 2):
                await stream.write(asking("same", n=number))
            answer = await stream.read()
            assert (answer.item_id, answer.last) == ("same", True)
            assert answer.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
            assert answer.error.message.startswith("item_id: saw 'same' while an item of that id")
            held.go_on()
            answer = await stream.read()
            assert (answer.item_id, answer.last) == ("same", True)
            assert len(answer.completion.token_ids) > 1
            await stream.done_writing()
            assert await stream.read() is grpc.aio.EOF

    two_slots.run(within(scenario))
