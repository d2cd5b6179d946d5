"""A comparison that is killed goes on where it was, and ends as an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roundsmith.reproduce.carried import FILE, packed, read_carried

pytestmark = pytest.mark.slow
SIZES = """
[services]
threads = 1
[recipe.dstc]
num_codes = 4
num_tests = 4
max_tokens = 64
[recipe.dstc.training]
batch_size = 2
"""
ARMS = ("untrained", "dpo_minimax_joined")


def command(folder: Path, out: Path, seeds: int = 1, arms: tuple[str, ...] = ARMS) -> list[str]:
    """A comparison of one seed on a few tasks."""
    config = folder / "small.toml"
    config.write_text(SIZES)
    small = ("--seeds", str(seeds), "--limit", "6", "--eval-limit", "6", "--no-tune")
    named = [word for arm in arms for word in ("--arm", arm)]
    words = [sys.executable, "-m", "roundsmith.cli", "reproduce", "dstc", *small, *named]
    return [*words, "--config", str(config), "--out", str(out)]


def results(out: Path) -> dict[str, Any]:
    """What it found, without the seconds that it took."""
    fields: dict[str, Any] = json.loads((out / "dstc/results.json").read_text())
    for metrics in fields["arms"].values():
        del metrics["sampling_s"], metrics["training_s"]
    return fields


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison that nothing happened to. Who changes it takes a copy."""
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run(command(folder, folder / "out"), check=True)
    return folder / "out"


def test_a_killed_comparison_ends_as_an_undisturbed_one(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    killed = subprocess.Popen(command(tmp_path, out), start_new_session=True)
    first = out / "dstc/results.json"
    while killed.poll() is None and not first.exists():
        time.sleep(0.2)
    assert killed.poll() is None, "it ended before it was killed"
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = results(out)["arms"]
    assert [name for name, of in before.items() if of["seed"]] == ["untrained"]
    again = subprocess.run(command(tmp_path, out), check=True, capture_output=True, text=True)
    assert "evaluate final (untrained, seed 0)" not in again.stderr, "it was finished before"
    assert "evaluate final (dpo_minimax_joined, seed 0)" in again.stderr
    found = results(out)
    assert found == results(whole)
    assert {name: of["seed"] for name, of in found["arms"].items()} == {name: [0] for name in ARMS}
    assert {claim["better"] for claim in found["claims"]} == {"dpo_minimax_joined"}
    _goes_on_elsewhere(tmp_path, out)


def _goes_on_elsewhere(folder: Path, out: Path) -> None:
    """Another machine plays the next seed of an arm, and a third brings both together."""
    beside, elsewhere, arm = folder / "beside", folder / "elsewhere", ARMS[0]
    words = command(folder, beside, seeds=2, arms=(arm,))
    subprocess.run([*words, "--seed", "1"], check=True)
    assert {name: of["seed"] for name, of in results(beside)["arms"].items()} == {arm: [1]}
    words = [*command(folder, elsewhere, seeds=2, arms=(arm,)), "--finished", str(out)]
    words += ["--finished", str(beside)]
    on = subprocess.run(words, check=True, capture_output=True, text=True)
    for seed in (0, 1):
        assert f"{arm}, seed {seed}: taken over" in on.stderr
    told, before = results(elsewhere)["arms"][arm], results(out)["arms"][arm]
    # What the second seed alone measured is new.
    assert {name: told[name][:1] for name in before} == before
    assert told["seed"] == [0, 1]
    kept = read_carried(elsewhere / "dstc" / FILE).arms
    assert set(kept) == {*((name, 0) for name in ARMS), (arm, 1)}
    other = [word if word != "6" else "7" for word in words]
    refused = subprocess.run(other, check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "of other claims or settings (" in refused.stderr


def test_arms_that_are_not_asked_for_stay_among_the_finished(whole: Path, tmp_path: Path) -> None:
    """Ten seeds of another arm are on file: those of the first seed are written down again."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    one_arm = command(tmp_path, out, arms=("untrained",))
    shutil.copytree(whole, out)
    first = read_carried(out / "dstc" / FILE)
    played = first.arms["untrained", 0]
    more = [replace(played, arm="dpo_minimax_joined", seed=seed) for seed in range(10)]
    content = packed(first.origin, first.tuned, more)
    (out / "dstc" / FILE).write_bytes(content)
    expected = {("untrained", 0), *((one.arm, one.seed) for one in more)}

    words = command(tmp_path, elsewhere, arms=("untrained",))
    subprocess.run([*words, "--finished", str(out)], check=True)
    assert set(read_carried(elsewhere / "dstc" / FILE).arms) == expected
    assert list(results(elsewhere)["arms"]) == ["untrained"]

    other = [word if word != "6" else "7" for word in one_arm]
    refused = subprocess.run(other, check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "of other claims or settings (" in refused.stderr
    assert "or give another --out, or move" in refused.stderr
    assert (out / "dstc" / FILE).read_bytes() == content

    subprocess.run(one_arm, check=True)
    assert set(read_carried(out / "dstc" / FILE).arms) == expected
