"""FSDP2 on two processes: what one process makes, whole files, gone on with by another number."""

import asyncio
import os
import signal

import pytest

from roundsmith.errors import EngineError
from roundsmith.training import TrainingJob, launch
from roundsmith.training.progress import Progress, read_progress
from roundsmith.training.run import train
from tests.pipelines.training.conftest import MakeJob, close
from tests.pipelines.training.doomed import killed_at
from tests.processes import command_line, descendants

pytestmark = pytest.mark.slow


def losses(job: TrainingJob) -> list[float]:
    return [line.loss for line in read_progress(job.out / "progress.jsonl")]


def sharded(job: TrainingJob, nproc: int = 2) -> TrainingJob:
    asyncio.run(launch(job, nproc=nproc))
    return job


@pytest.mark.parametrize("settings", [{}, {"gradient_checkpointing": True, "lora_rank": 4}])
def test_two_sharded_processes_train_what_one_process_trains(
    make_job: MakeJob, settings: dict[str, int]
) -> None:
    alone, shared = (
        make_job(out="alone", **settings),
        make_job(out="shared", sharded=True, **settings),
    )
    train(alone)
    sharded(shared)
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)
    assert close(shared.out / "model", alone.out / "model")


@pytest.mark.parametrize(("first", "then", "in_parts"), [(2, 1, True), (1, 2, True), (2, 1, False)])
def test_another_number_of_processes_goes_on(
    make_job: MakeJob, first: int, then: int, in_parts: bool
) -> None:
    settings = {"max_steps": 8, "checkpoint_every_steps": 2}
    alone = make_job(out="alone", **settings)
    train(alone)
    shared = make_job(out="shared", sharded=in_parts, **settings)
    killed_at(shared, 5, first)
    assert [path.name for path in (shared.out / "checkpoints").iterdir()] == ["checkpoint-4"]
    sharded(shared, then)
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)
    assert close(shared.out / "model", alone.out / "model")


def test_a_process_that_crashes_costs_the_steps_since_the_last_checkpoint(
    make_job: MakeJob,
) -> None:
    settings = {"max_steps": 60, "checkpoint_every_steps": 2}
    alone = make_job(out="alone", **settings)
    train(alone)
    shared = make_job(out="shared", sharded=True, **settings)
    crashed: list[int] = []
    own = f"{shared.out / 'request.json'}\0--die-with-parent\0".encode()  # torchrun's has more

    def crash(_: Progress) -> None:
        living = (pid for pid in descendants(os.getpid()) if command_line(pid).endswith(own))
        if not crashed and (pid := next(living, None)):
            crashed.append(pid)
            os.kill(pid, signal.SIGSEGV)

    asyncio.run(launch(shared, nproc=2, on_progress=crash))
    assert crashed, "the training was over before a process of it could crash"
    assert "crashed (SIGSEGV): all go on" in (shared.out / "training.log").read_text()
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)
    assert close(shared.out / "model", alone.out / "model")


def test_adafactor_is_not_sharded(make_job: MakeJob) -> None:
    with pytest.raises(EngineError, match="expected the optimizer adamw, saw adafactor"):
        sharded(make_job(optimizer="adafactor", sharded=True))


def test_preferences_are_sharded_too(make_pair_job: MakeJob) -> None:
    alone, shared = make_pair_job(out="alone"), make_pair_job(out="shared", sharded=True)
    train(alone)
    sharded(shared)
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)
    assert close(shared.out / "model", alone.out / "model")
