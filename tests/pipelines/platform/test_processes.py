"""Services that are started together: all are ready, or none is left."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from roundsmith.clients import ROUNDS, PairBuilderClient
from roundsmith.clients.channels import open_channel
from roundsmith.errors import ConfigError, PlatformError
from roundsmith.lab import MODEL
from roundsmith.platform.processes import BACKOFF_S, RESTARTS, START_S, ServiceProcesses
from roundsmith.steps.config import RECIPES
from tests.processes import children

FAILS = ["--recipes", "no.such.package"]


def started() -> set[int]:
    """Processes that this one started and that have not ended."""
    return set(children(os.getpid()))


def test_when_one_fails_its_error_is_raised_and_the_others_are_ended(tmp_path: Path) -> None:
    async def play() -> set[int]:
        before, processes = started(), ServiceProcesses(tmp_path)
        commands = {
            "generator": ["--model", str(MODEL), "--storage-root", str(tmp_path)],
            "executor": ["--slots", "1"],
            "pair-builder": FAILS,
        }
        with pytest.raises(ConfigError, match=r"pair-builder did not start[^$]*no\.such\.package"):
            await processes.start(commands)
        await processes.revive()  # it watches none any more
        return started() - before

    assert asyncio.run(play()) == set()


def test_a_start_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    async def play() -> set[int]:
        before, processes = started(), ServiceProcesses(tmp_path)
        starting = asyncio.create_task(processes.start({"executor": ["--slots", "1"]}))
        deadline = time.monotonic() + 300
        while not started() - before and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        assert started() - before, "no process was started"
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        return started() - before

    assert asyncio.run(play()) == set()


def test_a_service_that_was_killed_is_started_again_where_it_was(tmp_path: Path) -> None:
    async def play() -> tuple[list[str], list[str]]:
        processes = ServiceProcesses(tmp_path)
        try:
            found = await processes.start({"pair-builder": ["--recipes", RECIPES]})
            async with open_channel(found["pair-builder"]["address"]) as channel:
                client = PairBuilderClient(channel)
                before = await client.recipes()
                for _ in range(2):
                    process = processes._running["pair-builder"]
                    process.kill()
                    await process.wait()
                    await processes.revive()
                return before, await client.recipes(timeout_s=300.0)
        finally:
            await processes.stop()

    before, after = asyncio.run(play())
    assert before == after
    assert "gift" in before


def test_a_service_that_ends_again_and_again_is_given_up_with_its_log(tmp_path: Path) -> None:
    async def play() -> None:
        processes = ServiceProcesses(tmp_path)
        try:
            await processes.start({"pair-builder": ["--recipes", RECIPES]})
            processes._restarts["pair-builder"] = RESTARTS
            process = processes._running["pair-builder"]
            process.kill()
            await process.wait()
            await processes.revive()
        finally:
            await processes.stop()

    with pytest.raises(PlatformError, match="saw it end 6 times, at last with signal SIGKILL"):
        asyncio.run(play())


def test_a_round_waits_longer_for_a_service_than_it_may_take_to_come_back() -> None:
    assert ROUNDS.give_up_s > BACKOFF_S * 2 ** (RESTARTS - 1) + START_S
