"""The compiled pipeline, its tasks started as pods: a round of the same rows, refused and ended as
a person expects. No backend of Kubeflow Pipelines is at hand: `pipeline_driver` stands in for it.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roundsmith.clients import GeneratorClient
from roundsmith.clients.channels import open_channel
from roundsmith.hashing import weights_sha256
from roundsmith.platform.stages import PARTS
from roundsmith.store.kinds import EXAMPLES
from tests.cluster.conftest import Installed, play_as_processes
from tests.cluster.pipeline_driver import Driver
from tests.cluster.test_round import rows, storage, without_place
from tests.cluster.world import BIN, NAMESPACE, RELEASE, ROOT

PARAMETERS: dict[str, Any] = {
    **{"recipe": "gift", "preset": "lab", "seed": 7, "limit": 8, "eval_limit": 16},
    **{"control": False, "config": {"iterations": 2}, "chain": "piped"},
}
OPTIONS = (
    *("--recipe", "gift", "--preset", "lab", "--seed", "7", "--limit", "8", "--eval-limit", "16"),
    *("--no-control", "--set", "iterations=2"),
)
"""The same as the parameters."""


def driver(installed: Installed, folder: Path, run: str) -> Driver:
    """A run of the pipeline that the chart delivers, as its account for rounds."""
    cluster = installed.cluster
    package = folder / "pipeline.yaml"
    delivered = cluster.get(f"configmap/{RELEASE}-pipeline")["data"]["pipeline.yaml"]
    package.write_text(delivered)
    return Driver(cluster, NAMESPACE, f"{RELEASE}-control", run, package)


@pytest.fixture(scope="module")
def trainjobs(installed: Installed) -> Iterator[Installed]:
    """The installation, whose trainings are TrainJobs meanwhile."""
    helm, where = BIN / "helm", ("--namespace", NAMESPACE, "--wait")
    kind = ("--reset-then-reuse-values", "--set", "training.job=trainjob")
    installed.cluster.run(helm, "upgrade", RELEASE, ROOT / "charts/roundsmith", *where, *kind)
    yield installed
    installed.cluster.run(helm, "rollback", RELEASE, *where)


@pytest.fixture(scope="module")
def piped(trainjobs: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A whole round by the pipeline."""
    made = driver(trainjobs, tmp_path_factory.mktemp("piped"), "piped")
    try:
        with trainjobs.cluster.watched("trainjobs") as trainings:
            made.play(PARAMETERS)
        assert len(set(trainings)) == 1
        yield made
    finally:
        made.remove()


def test_every_task_did_its_part(piped: Driver) -> None:
    parts = [part.replace("_", "-") for part in PARTS]
    assert list(piped.outputs) == ["check", *parts, "report", "next", "release"]
    assert piped.outputs["next"].endswith("has ended: 1 of 1 rounds are played")
    assert piped.outputs["release"] == "no training was left"
    assert piped.artifacts["report/page"].startswith("<!doctype html>")
    assert '"final_pass_at_1_after"' in piped.artifacts["report/executor_output.json"]


def test_the_rows_are_those_of_processes(
    installed: Installed, piped: Driver, tmp_path: Path
) -> None:
    url = piped.outputs["report"]
    assert url == f"{installed.cluster.storage}/runs/piped/round-1"
    folder = tmp_path / "round-1"
    storage().get(url, str(folder), recursive=True)
    ours = [without_place(row) for row in rows(folder, EXAMPLES)]
    local = play_as_processes(OPTIONS, tmp_path / "local")
    assert ours == [without_place(row) for row in rows(local, EXAMPLES)]
    assert len(ours) > 4


def test_what_the_gate_promoted_is_served_to_others_and_taken_back_by_one_command(
    installed: Installed, piped: Driver
) -> None:
    summary = json.loads(storage().cat_file(f"{piped.outputs['report']}/summary.json"))["result"]
    assert summary["promoted"], "the gate of this seed lets its round through"
    begun, promoted = (
        weights_sha256(ROOT / "pipelines/roundsmith/lab/model"),
        summary["checkpoint_sha256"],
    )
    assert served(installed) == promoted != begun
    command = (BIN / "roundsmith", "promote", "--namespace", NAMESPACE, "--release", RELEASE)
    installed.cluster.run(*command, "--back")
    assert served(installed) == begun
    installed.cluster.run(*command, "piped", "--round", "1")
    assert served(installed) == promoted


def served(installed: Installed) -> str:
    """The weights that others are served."""

    async def ask(address: str) -> str:
        async with open_channel(address) as channel:
            return (await GeneratorClient(channel).model()).weights_sha256

    with installed.cluster.forwarded(f"svc/{RELEASE}-serve", 8033) as address:
        return asyncio.run(ask(address))


def test_a_wrong_setting_is_refused_by_the_first_task_in_words(
    installed: Installed, tmp_path: Path
) -> None:
    made = driver(installed, tmp_path, "refused")
    wrong = {**PARAMETERS, "chain": "refused", "config": {"iteration": 2}}
    try:
        with (
            installed.cluster.watched("pytorchjobs") as trainings,
            pytest.raises(AssertionError, match=r"task check: (.|\n)*did you mean 'iterations'"),
        ):
            made.play(wrong)
    finally:
        made.remove()
    assert trainings == []
    assert list(made.outputs) == ["release"], "which runs however a round ends"
