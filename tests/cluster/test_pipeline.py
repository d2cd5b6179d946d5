"""The compiled pipeline, its tasks started as pods in a profile's namespace, as the account that
Kubeflow runs them as: a round of the same rows, refused and ended as a person expects. No backend
of Kubeflow Pipelines is at hand: `pipeline_driver` stands in for it.
"""

import asyncio
import json
from pathlib import Path

import pytest

from roundsmith.clients import GeneratorClient
from roundsmith.clients.channels import open_channel
from roundsmith.hashing import weights_sha256
from roundsmith.platform.stages import PARTS
from roundsmith.store.kinds import EXAMPLES
from tests.cluster.conftest import PARAMETERS, Installed, Rounds, driver, of_profile
from tests.cluster.test_round import rows, storage, without_place
from tests.cluster.world import BIN, NAMESPACE, PROFILE, RELEASE, ROOT


def test_every_task_did_its_part(rounds: Rounds) -> None:
    piped = rounds.piped
    parts = [part.replace("_", "-") for part in PARTS]
    assert list(piped.outputs) == ["check", *parts, "report", "next", "release"]
    assert piped.outputs["next"].endswith("has ended: 1 of 1 rounds are played")
    assert piped.outputs["release"] == "no training was left"
    assert piped.artifacts["report/page"].startswith("<!doctype html>")
    assert '"final_pass_at_1_after"' in piped.artifacts["report/executor_output.json"]


def test_its_training_goes_with_what_the_pod_of_its_task_is_of(rounds: Rounds) -> None:
    assert rounds.owners == {"Job/piped-train"}, "on Kubeflow, where Argo makes it, the Workflow"


def test_the_rows_are_those_of_processes(
    profiles: Installed, rounds: Rounds, round_of_processes: Path, tmp_path: Path
) -> None:
    url = rounds.piped.outputs["report"]
    assert url == f"{of_profile(profiles.cluster)}/runs/piped/round-1"
    folder = tmp_path / "round-1"
    storage().get(url, str(folder), recursive=True)
    ours = [without_place(row) for row in rows(folder, EXAMPLES)]
    assert ours == [without_place(row) for row in rows(round_of_processes, EXAMPLES)]
    assert len(ours) > 4


def test_what_the_gate_promoted_is_served_to_others_and_taken_back_by_one_command(
    profiles: Installed, rounds: Rounds
) -> None:
    url = f"{rounds.piped.outputs['report']}/summary.json"
    summary = json.loads(storage().cat_file(url))["result"]
    assert summary["promoted"], "the gate of this seed lets its round through"
    begun, promoted = (
        weights_sha256(ROOT / "pipelines/roundsmith/lab/model"),
        summary["checkpoint_sha256"],
    )
    assert served(profiles) == promoted != begun
    command = (BIN / "roundsmith", "promote", "--namespace", PROFILE, "--release", RELEASE)
    profiles.cluster.run(*command, "--back")
    assert served(profiles) == begun
    assert served(profiles, NAMESPACE) == promoted, "of the other user, who took nothing back"
    profiles.cluster.run(*command, "piped", "--round", "1")
    assert served(profiles) == promoted


def served(installed: Installed, namespace: str = PROFILE) -> str:
    """The weights that others are served."""

    async def ask(address: str) -> str:
        async with open_channel(address) as channel:
            return (await GeneratorClient(channel).model()).weights_sha256

    with installed.cluster.forwarded(f"svc/{RELEASE}-serve", 8033, namespace) as address:
        return asyncio.run(ask(address))


def test_a_wrong_setting_is_refused_by_the_first_task_in_words(
    profiles: Installed, tmp_path: Path
) -> None:
    made = driver(profiles.cluster, tmp_path, "refused")
    wrong = {**PARAMETERS, "chain": "refused", "config": {"iteration": 2}}
    try:
        with (
            profiles.cluster.watched("trainjobs", PROFILE) as trainings,
            pytest.raises(AssertionError, match=r"task check: (.|\n)*did you mean 'iterations'"),
        ):
            made.play(wrong)
    finally:
        made.remove()
    assert trainings == []
    assert list(made.outputs) == ["release"], "which runs however a round ends"
