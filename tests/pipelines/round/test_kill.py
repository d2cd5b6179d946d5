"""kill -9 of any process of a run, at random moments: started again, it ends the same."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.pipelines.round.lab_round import command, play, selected, summary

pytestmark = pytest.mark.slow
KILLS = 4
"""A run by hand takes more: ROUNDSMITH_TEST_KILLS=10."""


def descendants(pid: int) -> list[int]:
    """The process and all below it, in the order of their numbers."""
    found, new = [pid], [pid]
    while new:
        children = []
        for parent in new:
            for task in Path(f"/proc/{parent}/task").glob("*/children"):
                children += [int(child) for child in task.read_text().split()]
        found, new = found + children, children
    return sorted(found)


def test_a_run_killed_anywhere_ends_with_the_same_rows_and_result(
    undisturbed: Path, tmp_path: Path
) -> None:
    out, chance = tmp_path / "killed", random.Random(20261121)
    kills = int(os.environ.get("ROUNDSMITH_TEST_KILLS", KILLS))
    for number in range(kills):
        with (tmp_path / f"{number}.log").open("wb") as log:
            run = subprocess.Popen(command(out), stdout=log, stderr=log)
        time.sleep(chance.uniform(1.0, 25.0))
        victim = run.pid
        if run.poll() is None:
            try:
                victim = chance.choice(descendants(run.pid))
                os.kill(victim, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
                victim = run.pid
        try:
            run.wait(timeout=60 if victim == run.pid else 600)
        finally:
            run.kill()
    play(out)
    assert selected(out) == selected(undisturbed)
    assert summary(out)["result"] == summary(undisturbed)["result"]
