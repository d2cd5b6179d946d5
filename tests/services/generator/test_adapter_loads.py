"""Adapters over gRPC: loaded by their owner from the storage root, recorded, and taken away."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]  # ships no types
import pytest

from roundsmith.clients import GeneratorClient
from roundsmith.clients.channels import open_channel
from roundsmith.config import ServeSettings, WeightsSettings
from roundsmith.errors import ConfigError, StoreError, UnknownName, WeightsMismatch
from roundsmith.generator.adapter_loads import AdapterLoads
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.generator.start import start
from roundsmith.hashing import weights_sha256
from roundsmith.serve import listening
from roundsmith.serve.checkpoints import checkpoints_under
from roundsmith.types import GenerateItem, Sampling
from tests.services.generator.test_adapters import make_adapter

SERVE = ServeSettings()


@pytest.fixture
def root(tmp_path: Path, tiny: Path) -> Path:
    """A storage root with two adapters of the tiny model, and one beside it."""
    folder = tmp_path / "root"
    folder.mkdir()
    for name, seed in (("one", 1), ("other", 2)):
        make_adapter(folder / name, tiny, seed)
    make_adapter(tmp_path / "outside", tiny, 3)
    return folder


@asynccontextmanager
async def serving(tiny: Path, where: Path | WeightsSettings) -> AsyncIterator[GeneratorClient]:
    """A client of a generator that keeps a record beside its root, where no more is said."""
    weights = (
        WeightsSettings(storage_root=str(where), record=str(where.parent / "served.json"))
        if isinstance(where, Path)
        else where
    )
    service = await start(GeneratorSettings(model=str(tiny), slots=2), SERVE, weights)
    try:
        async with (
            listening(service.bindings, SERVE) as addresses,
            open_channel(addresses["address"]) as channel,
            open_channel(addresses["admin_address"]) as admin,
        ):
            client = GeneratorClient(channel, admin)
            yield client
            await client.stream.close()
    finally:
        await service.close()


async def drawn(client: GeneratorClient, adapter: str) -> tuple[tuple[int, ...], str]:
    """The tokens that an adapter draws, and the weight version that they carry."""
    client.forget()
    item = GenerateItem("i", (5, 6, 7), Sampling(12, temperature=0.0), 0, adapter=adapter)
    (completion,) = await client.generate(item)
    return completion.token_ids, completion.weights_sha256


def test_an_adapter_is_loaded_replaced_and_taken_away_by_its_owner(tiny: Path, root: Path) -> None:
    one, other = (weights_sha256(root / name) for name in ("one", "other"))

    async def scenario() -> None:
        async with serving(tiny, root) as client:
            plain = await drawn(client, "")
            await client.load_adapter("style", str(root / "one"), one)
            first = await drawn(client, "style")
            (told,) = (await client.model()).adapters
            assert (told.name, told.sha256, told.weights_sha256) == ("style", one, first[1])
            await client.load_adapter("style", str(root / "other"), other)
            second = await drawn(client, "style")
            assert len({plain, first, second}) == 3
            assert await drawn(client, "") == plain
            await client.unload_adapter("style")
            await client.unload_adapter("style")
            assert not (await client.model()).adapters
            with pytest.raises(UnknownName, match="style"):
                await drawn(client, "style")

    asyncio.run(scenario())


def test_another_version_than_the_expected_one_draws_nothing(tiny: Path, root: Path) -> None:
    one = weights_sha256(root / "one")
    item = GenerateItem("i", (5, 6, 7), Sampling(12), 0, deltas=True, adapter="style")

    async def scenario() -> None:
        async with serving(tiny, root) as client:
            await client.load_adapter("style", str(root / "one"), one)
            model = await client.model()
            found: list[object] = []

            async def draw(expected: str) -> None:
                async for answer in client.told(item, expected):
                    found.append(answer)

            with pytest.raises(WeightsMismatch, match=model.weights_sha256[:12]):
                await draw(model.weights_sha256)  # the model's alone
            assert not found
            await draw(model.adapters[0].weights_sha256)
            assert found

    asyncio.run(scenario())


def test_what_may_not_be_loaded_is_refused_and_the_name_keeps_what_it_had(
    tiny: Path, root: Path
) -> None:
    one = weights_sha256(root / "one")

    async def scenario() -> None:
        async with serving(tiny, root) as client:
            await client.load_adapter("style", str(root / "one"), one)
            before = await drawn(client, "style")
            outside = root.parent / "outside"
            with pytest.raises(ConfigError, match="under the storage root"):
                await client.load_adapter("style", str(outside), weights_sha256(outside))
            with pytest.raises(WeightsMismatch):
                await client.load_adapter("new", str(root / "other"), one)
            await client.load_adapter("style", str(root / "other"), one)  # as it is: nothing to do
            with pytest.raises(ConfigError, match="expected a name"):
                await client.load_adapter("a/b", str(root / "one"), one)
            assert await drawn(client, "style") == before
        async with serving(tiny, root) as client:
            assert await drawn(client, "style") == before

    asyncio.run(scenario())


def test_replicas_leave_each_others_adapters_in_the_record(tiny: Path, root: Path) -> None:
    one, other = (weights_sha256(root / name) for name in ("one", "other"))
    record = root.parent / "served.json.adapters"

    async def scenario() -> None:
        async with serving(tiny, root) as first, serving(tiny, root) as second:
            await first.load_adapter("style", str(root / "one"), one)
            await second.load_adapter("words", str(root / "other"), other)
            assert json.loads(record.read_text()).keys() == {"style", "words"}
            await second.unload_adapter("style")
            assert json.loads(record.read_text()).keys() == {"words"}
            await first.load_adapter("style", str(root / "one"), one)  # it serves it already
            assert json.loads(record.read_text()).keys() == {"style", "words"}

    asyncio.run(scenario())


def test_a_service_that_starts_later_serves_the_adapters_that_are_recorded(
    tiny: Path, root: Path
) -> None:
    one, other = (weights_sha256(root / name) for name in ("one", "other"))

    async def scenario() -> None:
        async with serving(tiny, root) as client:
            await client.load_adapter("style", str(root / "one"), one)
            await client.load_adapter("gone", str(root / "other"), other)
            await client.load_adapter("brief", str(root / "one"), one)
            await client.unload_adapter("brief")
            before = await drawn(client, "style")
        (root / "other" / "adapter_config.json").unlink()  # one that can not be had any more
        async with serving(tiny, root) as client:
            assert [adapter.name for adapter in (await client.model()).adapters] == ["style"]
            assert await drawn(client, "style") == before

    asyncio.run(scenario())
    record = root.parent / "served.json.adapters"
    assert json.loads(record.read_text()).keys() == {"gone", "style"}
    record.write_text("not a record")

    async def begin() -> None:
        async with serving(tiny, root):
            raise AssertionError("a record that is none was taken")

    with pytest.raises(StoreError, match="expected the record of adapters"):
        asyncio.run(begin())


def test_adapters_that_are_recorded_while_a_replica_starts_are_what_it_serves(
    root: Path,
) -> None:
    record = root.parent / "served.json"

    def write(sha256_by_name: dict[str, str]) -> None:
        told = {n: {"uri": str(root), "sha256": s} for n, s in sha256_by_name.items()}
        Path(f"{record}.adapters").write_text(json.dumps(told))

    class Overtaken:
        """The others are told of other adapters while this one loads its first."""

        def __init__(self) -> None:
            self.loaded: dict[str, str] = {}

        async def load_adapter(self, name: str, folder: Path, sha256: str) -> None:
            if not self.loaded:
                write({"style": "b" * 64, "words": "c" * 64})
            self.loaded[name] = sha256

        async def unload_adapter(self, name: str) -> None:
            del self.loaded[name]

    write({"style": "a" * 64, "gone": "a" * 64})
    engine = Overtaken()
    asyncio.run(AdapterLoads(engine, checkpoints_under(str(root)), str(record)).restore())
    assert engine.loaded == {"style": "b" * 64, "words": "c" * 64}


def test_new_weights_from_storage_leave_the_adapters_that_were_fetched(
    tiny: Path, other_tiny: Path, root: Path, tmp_path: Path
) -> None:
    storage = fsspec.filesystem("memory")
    folders = {"base": other_tiny, "one": root / "one", "other": root / "other"}
    for name, folder in folders.items():
        storage.put(str(folder), f"/bucket/{name}", recursive=True)
    version = {name: weights_sha256(folder) for name, folder in folders.items()}
    weights = WeightsSettings(storage_root="memory://bucket", cache=tmp_path / "cache")

    async def scenario() -> None:
        async with serving(tiny, weights) as client:
            await client.load_adapter("style", "memory://bucket/one", version["one"])
            await client.reload("memory://bucket/base", version["base"])
            await client.load_adapter("words", "memory://bucket/other", version["other"])
            assert await drawn(client, "style") != await drawn(client, "words")

    asyncio.run(scenario())
    kept = {path.name for path in (tmp_path / "cache" / "adapters").iterdir()}
    assert {version["one"], version["other"]} < kept


def test_a_caller_that_gives_up_does_not_stop_an_adapter_from_loading() -> None:
    class Slow:
        """An engine that takes its time."""

        def __init__(self) -> None:
            self.loaded: dict[str, str] = {}

        async def load_adapter(self, name: str, folder: Path, sha256: str) -> None:
            await asyncio.sleep(0.2)
            self.loaded[name] = sha256

        async def unload_adapter(self, name: str) -> None:
            await asyncio.sleep(0.2)
            self.loaded.pop(name, None)

    async def scenario(root: Path) -> None:
        engine = Slow()
        loads = AdapterLoads(engine, checkpoints_under(str(root)))
        await given_up(loads.load("style", str(root), "a" * 64))
        async with asyncio.timeout(60):
            while engine.loaded != {"style": "a" * 64}:
                await asyncio.sleep(0.01)
        await given_up(loads.unload("style"))
        async with asyncio.timeout(60):
            while engine.loaded:
                await asyncio.sleep(0.01)

    async def given_up(work: Coroutine[Any, Any, None]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await work

    asyncio.run(scenario(Path.cwd()))
