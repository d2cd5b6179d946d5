"""A training of several machines, as processes on loopback that share a storage root alone."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roundsmith.errors import ConfigError
from roundsmith.hashing import content_hash
from roundsmith.recipes.stage import Stage
from roundsmith.store import EXAMPLES, Store
from roundsmith.training import StoredResult, StoredTraining, TrainingArithmetic
from roundsmith.training.area import TrainingArea
from roundsmith.training.run import train
from roundsmith.training.sharding import OPTIMIZER_FILE
from tests import warm
from tests.pipelines.training.conftest import example
from tests.ports import kept_port
from tests.warm import Warm

ROWS = 24
SHARED_BOUND = 1e-7
"""Two processes add up a step's gradient in another order than one; six steps at a learning rate of
1e-3 move no weight of the small model by more than this."""


def ask(
    root: Path, model: Path, name: str, processes: int = 1, steps: int = 0, **changed: Any
) -> TrainingArea:
    """The area of a training that was asked for."""
    store = Store(str(root / "store"))
    stage = {"batch_size": 8, "micro_batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 2}
    request = StoredTraining(
        name=content_hash(name),
        store=store.url,
        rows=(store.write_rows(EXAMPLES, [example(i) for i in range(ROWS)]),),
        model=store.put_folder(model),
        stage=Stage.model_validate(stage | changed),
        seed=0,
        steps=steps,
        arithmetic=TrainingArithmetic(device="cpu", threads=1, processes=processes),
        checkpoint_every_steps=2,
    )
    area = TrainingArea(str(root / "training" / request.name))
    area.begin(request)
    return area


def start(area: TrainingArea, disk: Path, pods: int) -> list[Warm]:
    """A process for each pod, in the environment that the Training Operator gives it; each has a
    disk of its own.
    """
    meeting = {"PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(kept_port())}
    meeting |= {"PET_NNODES": str(pods), "PET_NPROC_PER_NODE": "1", "GLOO_SOCKET_IFNAME": "lo"}
    disk.mkdir(parents=True, exist_ok=True)
    return [
        warm.start(
            "roundsmith.training.stored",
            (area.request_uri, "--folder", str(disk / f"pod-{rank}")),
            disk / f"pod-{rank}.log",
            meeting | {"PET_NODE_RANK": str(rank)},
            own_session=True,
        )
        for rank in range(pods)
    ]


def finish(area: TrainingArea, disk: Path, pods: int) -> StoredResult:
    """Runs all pods to their end."""
    running = start(area, disk, pods)
    assert [pod.wait(900) for pod in running] == [0] * pods
    result = area.result()
    assert result is not None
    return result


def kill_one_after(area: TrainingArea, disk: Path, pods: int, victim: int, step: int) -> None:
    """SIGKILL of a pod once a checkpoint of so many steps is kept; the others end by themselves."""
    running = start(area, disk, pods)
    while (kept := area.checkpoint()) is None or kept.step < step:
        assert all(pod.poll() is None for pod in running), "it ended before it was killed"
        time.sleep(0.01)
    os.killpg(running[victim].pid, signal.SIGKILL)
    codes = [pod.wait(900) for pod in running]
    assert codes[victim] == -signal.SIGKILL
    assert [code for rank, code in enumerate(codes) if rank != victim] == [1] * (pods - 1)
    assert area.result() is None


def tensors(root: Path, result: StoredResult, folder: Path) -> Any:
    """The trained weights, by name."""
    from safetensors.torch import load_file

    path = Store(str(root / "store")).fetch_folder(result.folder, folder)
    return load_file(path / "model.safetensors")


def largest_difference(one: Any, two: Any) -> float:
    """The largest absolute difference of two models' weights."""
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)


def test_one_pod_trains_what_a_process_of_this_machine_does(tmp_path: Path, model: Path) -> None:
    area = ask(tmp_path, model, "one")
    stored = finish(area, tmp_path / "disk", 1)
    local = train(area.request().fetch(model, tmp_path / "local"))
    assert stored.result == local
    assert [step for step, _ in stored.loss] == [1, 2, 3, 4, 5, 6]
    assert [line.step for line in area.progress()] == [1, 2, 3, 4, 5, 6]
    assert area.checkpoint() is None
    assert finish(area, tmp_path / "other", 1) == stored, "a finished one is only found"
    assert not (tmp_path / "other/pod-0").exists()


@pytest.mark.slow
def test_two_pods_train_what_one_does_up_to_rounding(tmp_path: Path, model: Path) -> None:
    # Four forward passes a step, which one process and two add up in another order.
    alone = finish(ask(tmp_path, model, "one", micro_batch_size=2), tmp_path / "disk", 1)
    shared = finish(ask(tmp_path, model, "two", 2, micro_batch_size=2), tmp_path / "disk", 2)
    one, two = (
        tensors(tmp_path, result, tmp_path / name) for result, name in ((alone, "a"), (shared, "s"))
    )
    moved = largest_difference(tensors_of(model), one)
    difference = largest_difference(one, two)
    assert difference <= SHARED_BOUND < moved / 1000, difference
    assert [loss for _, loss in alone.loss] == pytest.approx([loss for _, loss in shared.loss])
    assert shared.result.tokens == alone.result.tokens


def tensors_of(model: Path) -> Any:
    """The weights of a model folder."""
    from safetensors.torch import load_file

    return load_file(model / "model.safetensors")


@pytest.mark.slow
def test_a_pod_of_two_killed_at_any_time_changes_nothing(tmp_path: Path, model: Path) -> None:
    # So many that who kills may be late on a busy machine.
    settings = {"steps": 60, "batch_size": 16}
    undisturbed = finish(ask(tmp_path, model, "quiet", 2, **settings), tmp_path / "quiet", 2)
    area = ask(tmp_path, model, "killed", 2, **settings)
    kill_one_after(area, tmp_path / "first", 2, victim=1, step=2)
    kept = area.checkpoint()
    assert kept is not None
    names = {file.name for file in kept.files}
    assert {"rng_state_0.pth", "rng_state_1.pth", OPTIMIZER_FILE, "model.safetensors"} <= names
    kill_one_after(area, tmp_path / "second", 2, victim=0, step=kept.step + 2)
    found = finish(area, tmp_path / "third", 2)
    assert replace(found, seconds=0.0) == replace(undisturbed, seconds=0.0)
    assert [line.step for line in area.progress()] == list(range(1, 61))


def test_a_training_that_can_not_be_says_so_to_who_asked(tmp_path: Path, model: Path) -> None:
    area = ask(tmp_path, model, "wrong", max_length=2)
    (pod,) = start(area, tmp_path / "disk", 1)
    assert pod.wait(900) == 1
    failure = area.failure()
    assert isinstance(failure, ConfigError)
    assert "expected examples of at most 2 tokens, saw none" in str(failure)
    area.begin(area.request())
    assert area.failure() is None


def test_a_pod_without_a_request_is_refused(tmp_path: Path) -> None:
    nowhere = TrainingArea(str(tmp_path / "training" / "none"))
    (pod,) = start(nowhere, tmp_path / "disk", 1)
    assert pod.wait(900) == ConfigError.exit_code
    with pytest.raises(ConfigError, match=r"expected a URI that ends in /request\.json"):
        TrainingArea.of(str(tmp_path / "request.toml"))


def test_a_checkpoint_is_the_last_one_that_was_committed(tmp_path: Path) -> None:
    area = TrainingArea(str(tmp_path / "area"))
    for step in (2, 4):
        half, shared = tmp_path / f"{step}" / "optimizer.pt", tmp_path / f"{step}" / "same.json"
        half.parent.mkdir()
        half.write_text(f"state {step}")
        shared.write_text("same")
        area.commit(step, [area.put(half), area.put(shared)])
    area.put(tmp_path / "2" / "optimizer.pt")  # of a checkpoint that was never whole
    kept = area.checkpoint()
    assert kept is not None
    assert kept.step == 4
    folder = area.fetch(kept, tmp_path / "fetched")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "optimizer.pt": "state 4",
        "same.json": "same",
    }
    area.commit(6, kept.files)
    assert len(list((tmp_path / "area" / "files").iterdir())) == 2
