"""New weights reach every replica, whatever happens to one of them meanwhile."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from roundsmith.clients import GeneratorClient, Replicas
from roundsmith.clients.replicas import addresses_of
from roundsmith.errors import ConfigError, Unavailable
from roundsmith.hashing import weights_sha256
from roundsmith.types import GenerateItem, Sampling
from tests.services.generator.serving import GeneratorProcess, client_of


@asynccontextmanager
async def three(
    folder: Path, model: Path, checkpoints: Path
) -> AsyncIterator[list[GeneratorProcess]]:
    """Three replicas with one storage root and one record."""
    options = (
        *("--model", str(model), "--slots", "2"),
        *("--storage-root", str(checkpoints), "--weights-record", str(folder / "served.json")),
    )
    replicas = [GeneratorProcess(folder / str(number), *options) for number in range(3)]
    try:
        await asyncio.gather(*(replica.ready() for replica in replicas))
        yield replicas
    finally:
        for replica in replicas:
            replica.kill()


def behind(replicas: Sequence[GeneratorProcess]) -> Replicas:
    """The admin ports of the replicas, as one target."""
    return Replicas("ipv4:" + ",".join(replica.admin for replica in replicas))


async def versions(replicas: Sequence[GeneratorProcess]) -> list[str]:
    """What each replica serves."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client_of(r.address)) for r in replicas]
        return [(await client.model()).weights_sha256 for client in clients]


@pytest.fixture
def checkpoints(tmp_path: Path, other_tiny: Path) -> Path:
    """A storage root with the other model's weights, and broken ones."""
    root = tmp_path / "checkpoints"
    shutil.copytree(other_tiny, root / "other")
    broken = shutil.copytree(other_tiny, root / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    return root


@pytest.mark.slow
def test_a_reload_reaches_all_replicas_though_one_is_killed_in_the_middle(
    tmp_path: Path, tiny: Path, other_tiny: Path, checkpoints: Path
) -> None:
    old, new = weights_sha256(tiny), weights_sha256(other_tiny)

    async def scenario() -> None:
        async with three(tmp_path, tiny, checkpoints) as replicas:
            target = "ipv4:" + ",".join(replica.address for replica in replicas)
            async with client_of(target, behind(replicas)) as client:
                broken = checkpoints / "broken"
                damaged = weights_sha256(broken)
                with pytest.raises(ConfigError, match="whole safetensors file"):
                    await client.reload(str(broken), damaged)
                assert await versions(replicas) == [old] * 3
                hogs = [asyncio.create_task(draw(client, n)) for n in range(12)]
                await asyncio.sleep(0.2)
                replicas[1].stop()  # so that it has not answered when it is killed
                reload = asyncio.create_task(client.reload(str(checkpoints / "other"), new))
                await asyncio.sleep(0.5)
                replicas[1].kill()
                await asyncio.sleep(0.5)
                assert not reload.done(), "one replica has not said that it serves the weights"
                replicas[1].start()
                await replicas[1].ready()
                assert await reload == new
                assert await versions(replicas) == [new] * 3
                assert set(await asyncio.gather(*hogs)) <= {old, new}
                replicas[2].kill()  # one that starts later serves what is recorded
                replicas[2].start()
                await replicas[2].ready()
                assert await versions(replicas[2:]) == [new]

    asyncio.run(scenario())


async def draw(client: GeneratorClient, number: int) -> str:
    """Draws long enough to be under way when weights change; the version that drew it."""
    item = GenerateItem(f"hog{number}", "def", Sampling(150, temperature=0.0), number)
    (completion,) = await client.generate(item)
    assert len(completion.token_ids) == 150
    return completion.weights_sha256


@pytest.mark.slow
def test_a_replica_that_never_comes_back_is_named(
    tmp_path: Path, tiny: Path, other_tiny: Path, checkpoints: Path
) -> None:
    async def scenario() -> None:
        async with three(tmp_path, tiny, checkpoints) as replicas:
            replicas[0].kill()
            admin = behind(replicas)
            async with client_of(replicas[1].address, admin) as client:
                version = weights_sha256(other_tiny)
                with pytest.raises(Unavailable, match=replicas[0].admin):
                    await client.reload(str(checkpoints / "other"), version, timeout_s=10.0)
            async with asyncio.timeout(300):  # they were asked, and go on when the caller has left
                while await versions(replicas[1:]) != [version] * 2:
                    await asyncio.sleep(0.05)

            async def scaled_down(target: str) -> Sequence[str]:
                return (await addresses_of(target))[1:]

            fewer = Replicas(admin.target, resolve=scaled_down)
            async with client_of(replicas[1].address, fewer) as client:
                assert await client.reload(str(checkpoints / "other"), version) == version

    asyncio.run(scenario())


def test_a_name_is_every_address_that_it_resolves_to() -> None:
    async def found(target: str) -> Sequence[str]:
        return await addresses_of(target)

    assert asyncio.run(found("ipv4:10.0.0.1:5,10.0.0.2:5")) == [
        "ipv4:10.0.0.1:5",
        "ipv4:10.0.0.2:5",
    ]
    assert asyncio.run(found("127.0.0.1:5")) == ["ipv4:127.0.0.1:5"]
    assert asyncio.run(found("dns:///127.0.0.1:5")) == ["ipv4:127.0.0.1:5"]
    assert asyncio.run(found("[::1]:5")) == ["ipv6:[::1]:5"]
    assert "ipv4:127.0.0.1:5" in asyncio.run(found("dns:///localhost:5"))
    assert asyncio.run(found("unix:/tmp/socket")) == ["unix:/tmp/socket"]
