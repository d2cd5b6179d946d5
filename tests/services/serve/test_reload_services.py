"""Generator and scorer reload from a URL: through their admin ports, with real models."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from roundsmith.clients.channels import open_channel
from roundsmith.clients.generator import GeneratorClient
from roundsmith.clients.services import ScorerClient
from roundsmith.config import ServeSettings, WeightsSettings
from roundsmith.errors import ConfigError, WeightsMismatch
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.generator.start import start as start_generator
from roundsmith.hashing import weights_sha256
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.scorer.start import start as start_scorer
from roundsmith.serve import Service, listening
from roundsmith.storage import open_storage
from roundsmith.types import GenerateItem, Sampling, ScoreItem
from tests.services.conftest import mean_otherwise
from tests.storages import REMOTE, storage_url

Start = Callable[[str, WeightsSettings], Awaitable[Service]]
Client = type[GeneratorClient] | type[ScorerClient]
SERVE = ServeSettings()


async def generator(model: str, weights: WeightsSettings) -> Service:
    return await start_generator(GeneratorSettings(model=model, slots=2), SERVE, weights)


async def scorer(model: str, weights: WeightsSettings) -> Service:
    return await start_scorer(ScorerSettings(model=model), SERVE, weights)


@asynccontextmanager
async def serving(
    start: Start, client: Client, model: Path, weights: WeightsSettings
) -> AsyncIterator[GeneratorClient | ScorerClient]:
    """A client of a service on this model."""
    service = await start(str(model), weights)
    try:
        async with (
            listening(service.bindings, SERVE) as addresses,
            open_channel(addresses["address"]) as channel,
            open_channel(addresses["admin_address"]) as admin,
        ):
            yield client(channel, admin)
    finally:
        await service.close()


async def served(client: GeneratorClient | ScorerClient) -> str:
    if isinstance(client, GeneratorClient):
        return (await client.model()).weights_sha256
    return (await client.score(ScoreItem("i", "def", " add"))).weights_sha256


def put(folder: Path, url: str) -> str:
    system, path = open_storage(url)
    for file in folder.iterdir():
        system.pipe_file(f"{path}/{file.name}", file.read_bytes())
    return url


@pytest.mark.parametrize(
    ("start", "client"), [(generator, GeneratorClient), (scorer, ScorerClient)]
)
@pytest.mark.parametrize("kind", REMOTE)
def test_a_service_reloads_from_a_url_and_a_later_one_starts_with_that(
    start: Start, client: Client, kind: str, tiny: Path, other_tiny: Path, tmp_path: Path
) -> None:
    root = f"{storage_url(kind, tmp_path)}/checkpoints"
    old, new = weights_sha256(tiny), weights_sha256(other_tiny)
    uri, evil = put(other_tiny, f"{root}/{new}"), put(other_tiny, f"{root}-evil/{new}")
    settings = {"storage_root": root, "record": f"{root}-served.json"}

    async def scenario() -> None:
        first = WeightsSettings.model_validate(settings | {"cache": tmp_path / "first"})
        async with serving(start, client, tiny, first) as service:
            with pytest.raises(ConfigError, match="under the storage root"):
                await service.reload(evil, new)
            with pytest.raises(WeightsMismatch, match="its weight version is"):
                await service.reload(uri, "0" * 64)
            assert await served(service) == old
            asked = [service.reload(uri, new) for _ in range(3)]
            assert set(await asyncio.gather(*asked)) == {new}
            assert await served(service) == new
        later = WeightsSettings.model_validate(settings | {"cache": tmp_path / "later"})
        async with serving(start, client, tiny, later) as service:
            assert await served(service) == new

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("start", "client"), [(generator, GeneratorClient), (scorer, ScorerClient)]
)
def test_what_was_answered_while_weights_were_reloaded_is_not_answered_again_afterwards(
    start: Start, client: Client, tiny: Path, other_tiny: Path, tmp_path: Path
) -> None:
    folder, new = shutil.copytree(other_tiny, tmp_path / "other"), weights_sha256(other_tiny)

    async def version(service: GeneratorClient | ScorerClient) -> str:
        """Of the answer to an item that is always the same."""
        if isinstance(service, GeneratorClient):
            (drawn,) = await service.generate(GenerateItem("i", "def", Sampling(2), seed=1))
            return drawn.weights_sha256
        return await served(service)

    async def scenario() -> None:
        async with serving(start, client, tiny, WeightsSettings(storage_root=str(tmp_path))) as one:
            await version(one)
            reload = asyncio.create_task(one.reload(str(folder), new))
            while not reload.done():
                await version(one)
            await reload
            assert await version(one) == new
            await one.stream.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("start", "client"), [(generator, GeneratorClient), (scorer, ScorerClient)]
)
def test_an_item_that_expects_other_weights_than_are_served_is_refused(
    start: Start, client: Client, tiny: Path, other_tiny: Path, tmp_path: Path
) -> None:
    folder, new = shutil.copytree(other_tiny, tmp_path / "other"), weights_sha256(other_tiny)
    old = weights_sha256(tiny)

    async def by(service: GeneratorClient | ScorerClient, expected: str) -> str:
        """Which weights answered."""
        if isinstance(service, GeneratorClient):
            item = GenerateItem("i", "def", Sampling(2), seed=1)
            return (await service.generate(item, expected))[0].weights_sha256
        return (await service.score(ScoreItem("i", "def", " add"), expected)).weights_sha256

    async def scenario() -> None:
        async with serving(start, client, tiny, WeightsSettings(storage_root=str(tmp_path))) as one:
            assert await by(one, old) == old
            with pytest.raises(WeightsMismatch, match=f"expected {new[:12]}, serving {old[:12]}"):
                await by(one, new)
            await one.reload(str(folder), new)
            with pytest.raises(WeightsMismatch, match=f"expected {old[:12]}, serving {new[:12]}"):
                await by(one, old)
            assert await by(one, new) == new
            await one.stream.close()

    asyncio.run(scenario())


def test_an_item_whose_last_completions_would_be_of_other_weights_than_it_expects_is_refused(
    tiny: Path, other_tiny: Path, tmp_path: Path
) -> None:
    folder, new = shutil.copytree(other_tiny, tmp_path / "other"), weights_sha256(other_tiny)
    many = GenerateItem("i", "def", Sampling(200, temperature=0.0), seed=1, n=100, deltas=True)
    root = WeightsSettings(storage_root=str(tmp_path))

    async def scenario() -> None:
        async with serving(generator, GeneratorClient, tiny, root) as service:
            assert isinstance(service, GeneratorClient)
            told = service.told(many, weights_sha256(tiny))
            await anext(told)
            reload = asyncio.create_task(service.reload(str(folder), new))
            with pytest.raises(WeightsMismatch, match=f"serving {new[:12]}"):
                _ = [one async for one in told]
            await reload
            await service.stream.close()

    asyncio.run(scenario())


def test_what_waits_while_weights_change_is_scored_by_those_that_it_expects_or_refused(
    tiny: Path, other_tiny: Path, tmp_path: Path
) -> None:
    folder, new = shutil.copytree(other_tiny, tmp_path / "other"), weights_sha256(other_tiny)
    old, found = weights_sha256(tiny), list[object]()

    async def asking(service: ScorerClient, name: str) -> None:
        """Asks for one item after the other until some are refused."""
        for number in range(100_000):
            item = ScoreItem(f"{name}.{number}", f"def f{number}", " add" * 20)
            try:
                found.append((await service.score(item, old)).weights_sha256)
            except WeightsMismatch:
                found.append(WeightsMismatch)
                return

    async def scenario() -> None:
        root = WeightsSettings(storage_root=str(tmp_path))
        async with serving(scorer, ScorerClient, tiny, root) as service:
            assert isinstance(service, ScorerClient)
            callers = [asyncio.create_task(asking(service, f"{n}")) for n in range(64)]
            while len(found) < len(callers):
                await asyncio.sleep(0.01)
            await service.reload(str(folder), new)
            await asyncio.gather(*callers)
            await service.stream.close()

    asyncio.run(scenario())
    assert found.count(WeightsMismatch) == 64
    assert set(found) == {old, WeightsMismatch}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("tokenizer.json", r"the same tokenizer as .*, saw another model: start"),
        (
            "config.json",
            r"the same config.json as .*, saw rms_norm_eps 0.1 instead of 1e-06: start",
        ),
        (
            "generation_config.json",
            r"the same tokenizer as .*, saw end tokens \[0, 7\] instead of \[0\]: start",
        ),
    ],
)
@pytest.mark.parametrize(
    ("start", "client"), [(generator, GeneratorClient), (scorer, ScorerClient)]
)
def test_a_checkpoint_whose_numbers_mean_something_else_is_refused_and_the_old_one_goes_on(
    start: Start,
    client: Client,
    other: str,
    message: str,
    tiny: Path,
    other_tiny: Path,
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(other_tiny, tmp_path / "other")
    mean_otherwise(folder, other)

    async def scenario() -> None:
        async with serving(start, client, tiny, WeightsSettings(storage_root=str(tmp_path))) as one:
            with pytest.raises(ConfigError, match=message):
                await one.reload(str(folder), weights_sha256(folder))
            assert await served(one) == weights_sha256(tiny)
            new = weights_sha256(other_tiny)
            alike = shutil.copytree(other_tiny, tmp_path / "alike")
            assert await one.reload(str(alike), new) == new
            assert await served(one) == new

    asyncio.run(scenario())
