"""A training whose pods are killed for want of memory: when another try is in vain."""

from pathlib import Path
from typing import Any

import pytest

from roundsmith.hashing import content_hash
from roundsmith.platform.training_memory import MemoryKills
from roundsmith.recipes.stage import Stage
from roundsmith.store import FolderRef, ObjectRef
from roundsmith.training.area import TrainingArea
from roundsmith.training.request import StoredTraining, TrainingArithmetic


@pytest.fixture
def area(tmp_path: Path) -> TrainingArea:
    """Of a training that was asked for."""
    sha256 = content_hash("")
    blob = ObjectRef(sha256, "blob", 0, 0)
    request = StoredTraining(
        name="0" * 64,
        store=str(tmp_path),
        rows=(blob,),
        model=FolderRef(blob, sha256),
        stage=Stage(micro_batch_size=4),
        seed=0,
        arithmetic=TrainingArithmetic(device="cpu", threads=1),
    )
    area = TrainingArea(f"{tmp_path}/training")
    area.begin(request)
    return area


def pod(ended: str, name: str = "w-0", limit: str = "4Gi", **more: str) -> dict[str, Any]:
    """A pod that ended so, and waits to be started again."""
    limits = {"limits": {"memory": limit}} if limit else {}
    told = {"reason": "OOMKilled", "exitCode": 137, "containerID": ended, **more}
    status = {"name": "pytorch", "state": {"waiting": {}}, "lastState": {"terminated": told}}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "pytorch", "resources": limits}]},
        "status": {"containerStatuses": [status]},
    }


def test_a_pod_that_is_killed_twice_on_the_same_steps_would_go_on_so(area: TrainingArea) -> None:
    kills = MemoryKills(area, "pytorch")
    assert not kills.in_vain([pod("1"), pod("2", "w-1")])
    assert not kills.in_vain([pod("1"), pod("2", "w-1")]), "each was killed once"
    assert not kills.in_vain([pod("lost", reason="Error"), pod("2", "w-1")])
    told = kills.in_vain([pod("3"), pod("2", "w-1")])
    assert "saw w-0 killed for want of it twice before its first checkpoint, at its limit" in told
    assert "limit of 4Gi: it is ended" in told
    assert "raise training.resources.limits.memory in the chart's values, or set under" in told
    assert "[training] micro_batch_size below 4, or " in told


def test_a_pod_that_came_further_between_is_tried_again(area: TrainingArea) -> None:
    kills = MemoryKills(area, "pytorch")
    for step in range(1, 4):
        assert not kills.in_vain([pod(str(step))])
        area.commit(step, [])
    assert not kills.in_vain([pod("4")])
    assert "after the checkpoint of step 3" in kills.in_vain([pod("5")])


def test_a_node_without_memory_may_have_some_later(area: TrainingArea) -> None:
    kills = MemoryKills(area, "pytorch")
    assert not any(kills.in_vain([pod(str(n), limit="")]) for n in range(5))
