"""Five hundred streams, new weights in the middle, a fifth of the callers gone: the rest whole."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from roundsmith.clients import GeneratorClient
from roundsmith.config import child_environment
from roundsmith.hashing import weights_sha256
from roundsmith.types import Completion, GenerateItem, Sampling
from tests.services.generator.driven import ENGINES, Driven, need, settings_of
from tests.services.generator.serving import client_of, served

STAYING, CANCELLED, KILLED = 400, 50, 50
LATE = 50
"""Those who come when the new weights are there: a fast engine may have answered all others."""
SLOTS = 64
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=ENGINES)
def wide(request: pytest.FixtureRequest, tiny: Path) -> Iterator[Driven]:
    """An engine with room for a crowd."""
    need(request.param)
    driven = Driven(
        settings_of(request.param, str(tiny), slots=SLOTS, max_waiting=2000, kv_cache_gib=0.2)
    )
    yield driven
    driven.close()


async def doomed(address: str) -> asyncio.subprocess.Process:
    """A process with a connection for each client, all of which are being answered."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("doomed.py")), address, str(KILLED)),
        stdout=asyncio.subprocess.PIPE,
        env=child_environment(),
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 600) == b"begun\n"
    return process


async def leave(client: GeneratorClient, number: int, begun: asyncio.Semaphore) -> None:
    """Reads no more than the first tokens, so that it is under way until it is cancelled."""
    sampling = Sampling(200, temperature=0.0)
    prompt = (5 + number % 300, 6, 7)
    item = GenerateItem(f"leaves {number}", prompt, sampling, number, deltas=True)
    async for _ in client.told(item):
        begun.release()
        await asyncio.Event().wait()


def test_every_sample_of_who_stays_arrives_once_and_whole_from_one_weight_version(
    wide: Driven, tiny: Path, other_tiny: Path
) -> None:
    old, new = weights_sha256(tiny), weights_sha256(other_tiny)

    async def follow(client: GeneratorClient, number: int) -> list[Completion]:
        sampling = Sampling(8 + number % 40, temperature=0.0)
        item = GenerateItem(
            f"{number}", (5 + number % 300, 6, 7), sampling, number, 1 + number % 2, deltas=True
        )
        told = [one async for one in client.told(item)]
        return [one for one in told if isinstance(one, Completion)]

    async def scenario() -> list[list[Completion]]:
        async with AsyncExitStack() as stack:
            address = await stack.enter_async_context(served(wide.engine))
            # one stream a client; the killed ones have connections of their own too
            clients = [
                await stack.enter_async_context(client_of(address))
                for _ in range(STAYING + CANCELLED + LATE)
            ]
            gone = await doomed(address)
            late, begun = clients[-LATE:], asyncio.Semaphore(0)
            streams, leaving = list[asyncio.Task[list[Completion]]](), list[asyncio.Task[None]]()
            for number, client in enumerate(clients[:-LATE]):
                if number % 9 == 4:
                    leaving.append(asyncio.create_task(leave(client, number, begun)))
                else:
                    streams.append(asyncio.create_task(follow(client, number)))
            assert (len(streams), len(leaving)) == (STAYING, CANCELLED)
            while sum(stream.done() for stream in streams) < 40:
                await asyncio.sleep(0.01)
            await begun.acquire()
            reload = asyncio.create_task(wide.engine.reload(other_tiny, new))
            for stream in leaving:  # some have been told tokens, others wait where they are fewer
                assert stream.cancel(), "it was over"
            gone.kill()
            await gone.wait()
            await reload
            streams += [asyncio.create_task(follow(c, i)) for i, c in enumerate(late)]
            answers = await asyncio.gather(*streams)
            await asyncio.gather(*leaving, return_exceptions=True)
            await wide.idle()
            return answers

    answers = wide.run(scenario(), within_s=1200)
    assert len(answers) == STAYING + LATE
    for answer in answers:
        assert sorted(c.index for c in answer) == list(range(len(answer)))
        assert all(c.token_ids and len(c.logprobs) == len(c.token_ids) for c in answer)
        assert all(c.finish_reason in ("stop", "length") for c in answer)
    versions = Counter(c.weights_sha256 for answer in answers for c in answer)
    assert versions.keys() == {old, new}
    assert (wide.engine.running, wide.engine.waiting) == (0, 0)
    wide.run(wide.engine.reload(tiny, old))  # which waits for what runs: there is nothing left
