"""Runs on a cluster as a person sees them: told, shown and ended by the command line."""

import json
import time

import pytest

from tests.cluster.conftest import SMALL, Installed
from tests.cluster.world import BIN, NAMESPACE, RELEASE, Cluster

WHERE = ("--namespace", NAMESPACE, "--release", RELEASE)


def state(cluster: Cluster, run: str) -> str:
    """How far a run is."""
    told = cluster.run(BIN / "roundsmith", "status", run, *WHERE, "--json")
    return str(json.loads(told)["state"])


def test_a_run_that_went_wrong_is_told_and_shown_with_its_exit_code(installed: Installed) -> None:
    cluster = installed.cluster
    wrong = ("--recipe", "gift", "--preset", "lab", "--set", "iteration=2")
    done = cluster.try_(BIN / "roundsmith", "submit", *WHERE, "--name", "wrong", "--", *wrong)
    assert done.returncode == 2
    assert state(cluster, "wrong") == "failed"
    shown = cluster.try_(BIN / "roundsmith", "logs", "wrong", *WHERE)
    assert shown.returncode == 2
    assert "did you mean 'iterations'" in shown.stdout
    assert "wrong" in cluster.run(BIN / "roundsmith", "status", *WHERE)


def test_a_run_that_is_cancelled_takes_its_pods_along(installed: Installed) -> None:
    cluster = installed.cluster
    submitting = ("submit", *WHERE, "--name", "ended", "--", *SMALL, "--seed", "99")
    with cluster.started(BIN / "roundsmith", *submitting):
        end = time.monotonic() + 600
        while cluster.try_(BIN / "roundsmith", "status", "ended", *WHERE).returncode:
            assert time.monotonic() < end
            time.sleep(1)
        while state(cluster, "ended") != "running":
            assert time.monotonic() < end
            time.sleep(1)
        cluster.run(BIN / "roundsmith", "cancel", "ended", *WHERE)
    assert cluster.get("pods", "-l", "roundsmith.dev/run=ended")["items"] == []
    unknown = cluster.try_(BIN / "roundsmith", "status", "ended", *WHERE)
    assert unknown.returncode == 2
    assert "expected one of" in unknown.stderr


@pytest.mark.parametrize("command", ["status", "logs", "cancel"])
def test_a_run_that_is_not_there_is_named(installed: Installed, command: str) -> None:
    done = installed.cluster.try_(BIN / "roundsmith", command, "nosuch", *WHERE)
    assert done.returncode == 2
    assert "run 'nosuch': expected one of" in done.stderr
