"""Reloads: one at a time, idempotent, off the event loop, recorded for later replicas."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # ships no types
import pytest

from roundsmith.errors import ConfigError, StoreError, WeightsMismatch
from roundsmith.serve.weights import Reloads
from roundsmith.storage import replace_file
from tests.storages import EVERY, storage_url

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@dataclass(frozen=True)
class Info:
    weights_sha256: str


class Engine:
    """Serves a name, and fails a test that swaps it twice at once."""

    def __init__(self) -> None:
        self.served, self.reloads, self._busy = A, 0, False

    async def reload(self, folder: Path, sha256: str) -> None:
        assert not self._busy
        self._busy = True
        await asyncio.sleep(0.01)
        self.served, self.reloads, self._busy = sha256, self.reloads + 1, False

    def describe(self) -> Info:
        return Info(self.served)


class Shelf:
    """Checkpoints by name; each takes `takes_s` to fetch."""

    def __init__(self, takes_s: float = 0.02) -> None:
        self.takes_s, self.fetched = takes_s, list[str]()
        self._busy = threading.Lock()

    def check(self, uri: str) -> None:
        if uri.startswith("outside"):
            raise ConfigError(f"{uri}: expected one under the storage root")

    def fetch(self, uri: str, sha256: str, served: Collection[str]) -> Path:
        assert self._busy.acquire(blocking=False)
        time.sleep(self.takes_s)
        self.fetched.append(uri)
        self._busy.release()
        if uri == "gone":
            raise ConfigError("gone: expected a Hugging Face folder, saw no files")
        if uri == "changed":
            raise WeightsMismatch("changed: another version")
        if uri == "unreachable":
            raise StoreError("no network")
        return Path(uri)

    def close(self) -> None:
        """Nothing is held."""


def test_two_at_once_are_made_one_after_the_other_and_each_once() -> None:
    async def scenario() -> None:
        engine, shelf = Engine(), Shelf()
        reloads = Reloads(engine, shelf)
        asked = [reloads.reload(uri, sha256) for uri, sha256 in (("b", B), ("b", B), ("c", C))]
        await asyncio.gather(*asked)
        assert shelf.fetched == ["b", "c"]
        assert (engine.served, engine.reloads) == (C, 2)

    asyncio.run(scenario())


def test_what_is_served_is_neither_fetched_nor_loaded() -> None:
    async def scenario() -> None:
        engine, shelf = Engine(), Shelf()
        assert await Reloads(engine, shelf).reload("a", A) == A
        assert (shelf.fetched, engine.reloads) == ([], 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("uri", "sha256", "told"),
    [
        ("outside/x", A, "under the storage root"),
        ("b", "", "64 hex digits, saw ''"),
        ("b", "../../etc", "64 hex digits"),
        ("b", "B" * 64, "64 hex digits"),
        ("b", B + "\n", "64 hex digits"),
    ],
)
def test_what_may_not_be_loaded_is_refused_even_when_it_is_served(
    uri: str, sha256: str, told: str
) -> None:
    async def scenario() -> None:
        engine, shelf = Engine(), Shelf()
        with pytest.raises(ConfigError, match=told):
            await Reloads(engine, shelf).reload(uri, sha256)
        assert (shelf.fetched, engine.served) == ([], A)

    asyncio.run(scenario())


@pytest.mark.parametrize("uri", ["gone", "changed", "unreachable"])
def test_a_failure_leaves_what_is_served_and_the_next_may_succeed(uri: str) -> None:
    async def scenario() -> None:
        engine = Engine()
        reloads = Reloads(engine, Shelf())
        with pytest.raises((ConfigError, WeightsMismatch, StoreError)):
            await reloads.reload(uri, B)
        assert engine.served == A
        assert await reloads.reload("c", C) == C

    asyncio.run(scenario())


def test_a_caller_that_gives_up_does_not_stop_it_and_asking_again_joins_it() -> None:
    async def scenario() -> None:
        engine, shelf = Engine(), Shelf(takes_s=2.0)
        reloads = Reloads(engine, shelf)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reloads.reload("b", B)
        assert engine.served == A
        assert await reloads.reload("b", B) == B
        assert shelf.fetched == ["b"]

    asyncio.run(scenario())


def test_a_failure_nobody_waits_for_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        reloads = Reloads(Engine(), Shelf(takes_s=1.0))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await reloads.reload("unreachable", B)
        async with asyncio.timeout(60):
            while not caplog.records:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # in which it would be told again

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert [record.message for record in caplog.records] == ["a reload failed: no network"]


def test_the_event_loop_goes_on_while_a_checkpoint_is_fetched() -> None:
    async def scenario() -> int:
        asked = asyncio.ensure_future(Reloads(Engine(), Shelf(takes_s=2.0)).reload("b", B))
        ticks = 0
        while not asked.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert asyncio.run(scenario()) >= 5


@pytest.fixture(params=EVERY)
def record(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{storage_url(request.param, tmp_path)}/current/generator.json"


def read(record: str) -> dict[str, str] | None:
    system, path = fsspec.core.url_to_fs(record)
    return json.loads(system.cat_file(path)) if system.exists(path) else None


def write(record: str, text: str) -> None:
    replace_file(record, text.encode())


def test_a_replica_that_starts_later_serves_what_was_reloaded_last(record: str) -> None:
    async def scenario() -> None:
        first = Reloads(Engine(), Shelf(), record)
        await first.restore()
        assert read(record) is None
        for uri, sha256 in (("b", B), ("c", C), ("c", C)):
            await first.reload(uri, sha256)
            assert read(record) == {"uri": uri, "sha256": sha256}
        later = Engine()
        await Reloads(later, Shelf(), record).restore()
        assert later.served == C

    asyncio.run(scenario())


def test_the_record_is_what_was_reloaded_last_by_whichever_replica(record: str) -> None:
    async def scenario() -> None:
        first, second = (Reloads(Engine(), Shelf(), record) for _ in range(2))
        for reloads, uri, sha256 in ((first, "a", A), (second, "b", B), (first, "a", A)):
            await reloads.reload(uri, sha256)
            assert read(record) == {"uri": uri, "sha256": sha256}

    asyncio.run(scenario())


def test_what_is_recorded_while_a_replica_starts_is_what_it_serves(record: str) -> None:
    class Overtaken(Engine):
        """The others are given C while this one loads B."""

        async def reload(self, folder: Path, sha256: str) -> None:
            if sha256 == B:
                write(record, json.dumps({"uri": "c", "sha256": C}))
            await super().reload(folder, sha256)

    write(record, json.dumps({"uri": "b", "sha256": B}))
    engine = Overtaken()
    asyncio.run(Reloads(engine, Shelf(), record).restore())
    assert (engine.served, engine.reloads) == (C, 2)
    assert read(record) == {"uri": "c", "sha256": C}


def test_what_failed_is_not_recorded_and_what_is_served_already_is(record: str) -> None:
    async def scenario() -> None:
        reloads = Reloads(Engine(), Shelf(), record)
        with pytest.raises(StoreError):
            await reloads.reload("unreachable", B)
        assert read(record) is None
        await reloads.reload("a", A)
        assert read(record) == {"uri": "a", "sha256": A}

    asyncio.run(scenario())


def test_a_record_that_can_not_be_written_is_told_apart_from_weights_that_did_not_load(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")

    async def scenario() -> None:
        engine, shelf = Engine(), Shelf()
        reloads = Reloads(engine, shelf, str(tmp_path / "file" / "served.json"))
        for _ in range(2):  # once more, and nothing is fetched again
            with pytest.raises(StoreError, match=r"bbbb are served, but a replica .* call again"):
                await reloads.reload("b", B)
        assert (engine.served, shelf.fetched) == (B, ["b"])

    asyncio.run(scenario())
    assert "stay" not in caplog.text


@pytest.mark.parametrize("uri", ["gone", "changed", "outside/x"])
def test_a_recorded_checkpoint_that_is_gone_is_told_and_the_given_model_served(
    record: str, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(record, json.dumps({"uri": uri, "sha256": B}))
    engine = Engine()
    with caplog.at_level(logging.WARNING):
        asyncio.run(Reloads(engine, Shelf(), record).restore())
    assert engine.served == A
    assert "the recorded weights are not served" in caplog.text


def test_storage_that_fails_and_a_record_that_is_none_stop_the_start(record: str) -> None:
    write(record, json.dumps({"uri": "unreachable", "sha256": B}))
    with pytest.raises(StoreError, match="no network"):
        asyncio.run(Reloads(Engine(), Shelf(), record).restore())
    for text in ("[]", "{", '{"uri": "b"}', ""):
        write(record, text)
        with pytest.raises(StoreError, match="expected the record of a checkpoint"):
            asyncio.run(Reloads(Engine(), Shelf(), record).restore())
