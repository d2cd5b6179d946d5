"""A generator without memory for what it is asked: it says so and ends, and nothing is lost."""

import asyncio
import resource
from pathlib import Path

import pytest

from roundsmith.clients import StreamSettings
from roundsmith.types import GenerateItem, Sampling
from tests.services.generator.serving import START_S, GeneratorProcess, client_of

SLOTS = 512
LONG = GenerateItem("long", "def add(a, b):\n" * 20, Sampling(4, temperature=0.0), 3, n=SLOTS)
"""160 tokens in every slot: the keys and values need 64 MiB more than those of a short prompt."""
SPARE_BYTES = 32 * 2**20


def leave(pid: int, spare: int) -> None:
    """From now on a process may map so many bytes more, and then gets none."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + spare
    _, most = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, most))


@pytest.mark.slow
def test_what_ran_out_of_memory_is_answered_by_the_one_that_is_started_in_its_place(
    tmp_path: Path, tiny: Path
) -> None:
    server = GeneratorProcess(tmp_path, "--model", str(tiny), "--slots", str(SLOTS))

    async def scenario() -> None:
        await server.ready()
        async with client_of(server.address, settings=StreamSettings(give_up_s=START_S)) as client:
            await client.generate(GenerateItem("short", "def", Sampling(2), 0))
            leave(server.process.pid, SPARE_BYTES)
            asked = asyncio.create_task(client.generate(LONG))
            assert await server.ended() == 1
            assert "the generator ran out of memory" in server.log.read_text()
            assert "fewer slots (--slots" in server.log.read_text()
            assert not asked.done()
            server.start()  # as the platform does
            await server.ready()
            answered = await asked
            assert client.stream.retries >= 1
            assert [len(completion.token_ids) for completion in answered] == [4] * SLOTS
            assert answered == await client.generate(LONG)

    try:
        asyncio.run(scenario())
    finally:
        server.kill()
