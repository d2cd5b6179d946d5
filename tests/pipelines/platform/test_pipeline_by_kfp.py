"""The compiled pipeline, played by kfp's own local runner, makes what `roundsmith run` makes."""

import asyncio
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from roundsmith.clients import Endpoints
from roundsmith.lab import MODEL
from roundsmith.platform.local import LocalPlatform
from roundsmith.report.summary import from_json
from roundsmith.steps.config import RunConfig
from roundsmith.store import Manifest, Store
from tests.pipelines.round.lab_round import TASKS, selected
from tests.pipelines.round.lab_round import play as play_round

pytest.importorskip("kfp", reason="needs the extra cluster")

PARAMETERS = {
    **{"recipe": "gift", "preset": "lab", "tasks": str(TASKS), "seed": 3, "chain": "c"},
    **{"limit": 8, "eval_limit": 6},
    **{"control": False, "config": {"iterations": 2, "training": {"epochs": 1}}},
}
"""What `lab_round` plays, as the pipeline's parameters."""
PLAYER = Path(__file__).with_name("play_locally.py")


def command(*arguments: str) -> None:
    """Runs a command in a process of its own, and tells all that it said when it fails."""
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-6000:]}\n{done.stderr[-4000:]}"


def only(store: Store, step: str) -> Manifest:
    """The one finished piece of work of a step."""
    (manifest,) = store.manifests(step)
    return manifest


async def play(config: RunConfig, pipeline: Path, folder: Path) -> None:
    """Starts the services and plays the pipeline against them until it ends."""
    platform = LocalPlatform(config, folder / "work")
    try:
        await platform.services(str(MODEL))
        assert isinstance(platform.endpoints, Endpoints)
        place = folder / "machine.json"
        endpoints = platform.endpoints.model_dump(mode="json")
        machine = {"type": "machine", "endpoints": endpoints, "storage": str(folder)}
        place.write_text(json.dumps(machine))
        arguments = {**PARAMETERS, "cluster": str(place)}
        played = (str(PLAYER), str(pipeline), str(folder / "kfp"), json.dumps(arguments))
        await platform.watched(asyncio.to_thread(command, *played))
    finally:
        await platform.close()


@pytest.mark.slow
def test_the_pipeline_makes_the_same_rows_and_result_as_run(
    undisturbed: Path, tmp_path: Path
) -> None:
    pipeline, ran, played = tmp_path / "round.yaml", tmp_path / "ran", tmp_path / "played"
    shutil.copytree(undisturbed, ran)
    command("-m", "roundsmith.cli", "compile", "--output", str(pipeline))
    play_round(ran, "--no-control")  # all but its report is there
    config = RunConfig.model_validate_json((ran / "run.json").read_text())

    asyncio.run(play(config, pipeline, played))

    theirs = Store(str(played / "store"))
    assert selected(played) == selected(ran)
    assert any(row.provenance.parents for row in selected(ran)), "no row was selected: no test"
    texts = [theirs.get_blob(ref).decode() for ref in only(theirs, "report").of_kind("blob")]
    summary = from_json((ran / "round-1/summary.json").read_text())
    assert asdict(from_json(texts[0]).result) == asdict(summary.result)
    (page,) = (played / "kfp").rglob("page")
    assert page.read_text("utf-8") == texts[1]
    kept = from_json((played / "runs/c/round-1/summary.json").read_text())
    assert asdict(kept.result) == asdict(summary.result)
    following = next((played / "kfp").rglob("next/executor_output.json")).read_text()
    assert "has ended: 1 of 1 rounds are played" in following
    numbers = json.loads(next((played / "kfp").rglob("report/executor_output.json")).read_text())
    (artifact,) = numbers["artifacts"]["numbers"]["artifacts"]
    assert artifact["metadata"]["final_pass_at_1_after"] == (
        summary.result.pass_at_k["final"]["1"].after
    )
