"""Several rounds, and what a person does to a run: Ctrl-C."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.pipelines.round.lab_round import command, play, summary

pytestmark = pytest.mark.slow


def test_the_next_round_goes_on_from_the_promoted_checkpoint_or_from_where_it_was(
    tmp_path: Path,
) -> None:
    out, settings = tmp_path / "run", tmp_path / "settings.toml"
    settings.write_text("alpha = 0.999\n")  # chance may promote here: this is not about the gate
    play(out, "--rounds", "2", "--no-control", "--config", str(settings))
    first, second = (summary(out, number)["result"] for number in (1, 2))
    for number, result in enumerate((first, second), 1):  # each is told what it ran itself
        steps = summary(out, number)["cost"]["steps"].values()
        assert sum(step["executions"] for step in steps) == result["executions"]
    promoted = "checkpoint_sha256" if first["promoted"] else "weights_sha256"
    assert second["weights_sha256"] == first[promoted]
    assert set(first["pass_at_k"]) == {"gate"}
    assert set(second["pass_at_k"]) == {"gate", "final"}
    assert second["checkpoint_sha256"] != first["checkpoint_sha256"]
    measured = first["pass_at_k"]["gate"]["1"]["after" if first["promoted"] else "before"]
    assert second["pass_at_k"]["gate"]["1"]["before"] == measured  # the same draws every round


def test_ctrl_c_says_how_to_go_on_exits_130_and_leaves_no_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        run = subprocess.Popen(command(tmp_path / "run"), stdout=output, stderr=output)
        ready = tmp_path / "run" / "work" / "services" / "generator.ready"
        deadline = time.monotonic() + 600
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.0)
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=600) == 130
    assert "run the same command again" in log.read_text()
    deadline = time.monotonic() + 300
    while (left := of(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == ""


def of(folder: Path) -> str:
    """The processes that name a folder, by their numbers."""
    found = subprocess.run(
        ["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False
    )
    return found.stdout
