"""Services that are started together: all are ready, or none is left."""

import asyncio
import time
from pathlib import Path

import pytest

from roundsmith.errors import ConfigError
from roundsmith.lab import MODEL
from roundsmith.platform.processes import ServiceProcesses

FAILS = ["--recipes", "no.such.package"]


def children() -> set[int]:
    """Processes that this one started and that have not ended."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for path in lists for pid in path.read_text().split()}


def test_when_one_fails_its_error_is_raised_and_the_others_are_ended(tmp_path: Path) -> None:
    async def play() -> set[int]:
        before, processes = children(), ServiceProcesses(tmp_path)
        commands = {
            "generator": ["--model", str(MODEL), "--storage-root", str(tmp_path)],
            "executor": ["--slots", "1"],
            "pair-builder": FAILS,
        }
        with pytest.raises(ConfigError, match=r"pair-builder did not start[^$]*no\.such\.package"):
            await processes.start(commands)
        processes.refuse_dead()  # it watches none any more
        return children() - before

    assert asyncio.run(play()) == set()


def test_a_start_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    async def play() -> set[int]:
        before, processes = children(), ServiceProcesses(tmp_path)
        starting = asyncio.create_task(processes.start({"executor": ["--slots", "1"]}))
        deadline = time.monotonic() + 30
        while not children() - before and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        assert children() - before, "no process was started"
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        return children() - before

    assert asyncio.run(play()) == set()
