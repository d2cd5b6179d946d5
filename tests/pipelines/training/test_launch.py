"""A training as a process: killed, resumed, shared by two, and heard of while it runs."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from roundsmith.errors import ConfigError, PlatformError
from roundsmith.training import Progress, launch
from roundsmith.training.progress import ProgressLog, gone_on_with, read_progress
from roundsmith.training.run import train
from tests.pipelines.training.conftest import MakeJob, close
from tests.pipelines.training.doomed import cut_short, killed_at
from tests.processes import children, command_line, end_of, telling
from tests.services.test_leftovers import folder_of, holder


def test_a_training_killed_twice_ends_with_bitwise_the_same_weights(make_job: MakeJob) -> None:
    settings = {"max_steps": 14, "checkpoint_every_steps": 3, "batch_size": 16}
    undisturbed = train(make_job(out="undisturbed", **settings))
    job = make_job(out="killed", **settings)
    killed_at(job, 4)
    assert [path.name for path in (job.out / "checkpoints").iterdir()] == ["checkpoint-3"]
    killed_at(job, 11)
    assert train(job) == undisturbed
    assert [line.step for line in read_progress(job.out / "progress.jsonl")] == list(range(1, 15))


def test_a_half_written_checkpoint_is_not_resumed_from(make_job: MakeJob) -> None:
    undisturbed = train(make_job(out="undisturbed"))
    job = make_job(out="broken")
    half = job.out / "work" / "checkpoint-4"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    assert train(job) == undisturbed


def test_a_model_of_which_nothing_says_whose_it_is_is_not_taken(make_job: MakeJob) -> None:
    job = make_job()
    (job.out / "model").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"expected job\.json beside model, saw none"):
        train(job)


def test_progress_is_heard_of_step_by_step(make_job: MakeJob) -> None:
    heard: list[Progress] = []
    job = make_job()
    result = asyncio.run(launch(job, on_progress=heard.append))
    assert [progress.step for progress in heard] == [1, 2, 3, 4, 5, 6]
    assert heard[-1].seconds_left == 0
    assert all(progress.tokens_per_s > 0 for progress in heard)
    assert (job.out / "model").is_dir()
    assert train(job) == result


def test_a_training_that_is_gone_on_with_tells_no_line_of_the_dead_one(make_job: MakeJob) -> None:
    job = make_job(max_steps=10, checkpoint_every_steps=3, batch_size=16)
    cut_short(job, 5)
    dead = list(read_progress(job.out / "progress.jsonl"))
    heard: list[Progress] = []
    asyncio.run(launch(job, on_progress=heard.append))
    assert heard == [x for x in read_progress(job.out / "progress.jsonl") if x not in dead]
    assert [progress.step for progress in heard] == list(range(4, 11))
    assert heard[0].seconds > dead[2].seconds > 0, "it goes on from the third step"
    assert ProgressLog(job.out).seconds == heard[-1].seconds
    assert heard[0].cpu_s > dead[2].cpu_s > 0
    assert ProgressLog(job.out).cpu_s == heard[-1].cpu_s
    assert gone_on_with(dead, read_progress(job.out / "progress.jsonl")) == dead[2].cpu_s
    assert gone_on_with([], heard) == 0.0


def test_a_wrong_job_is_a_config_error_with_the_end_of_the_log(make_job: MakeJob) -> None:
    job = make_job()
    empty = job.out.with_name("empty")
    empty.mkdir()
    wrong = job.model_copy(update={"model": empty})
    with pytest.raises(ConfigError, match=r"saw exit code 2(.|\n)*expected \*\.safetensors"):
        asyncio.run(launch(wrong))


def test_a_killed_training_is_a_platform_error_that_says_to_run_again(make_job: MakeJob) -> None:
    job = make_job(max_steps=100_000)
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        # Several lines may be told at once, the later ones after the death.
        if not killed:
            killed.append(child_of(os.getpid()))
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(PlatformError, match=r"saw SIGKILL .*run again, it goes on from its last"):
        asyncio.run(launch(job, on_progress=kill))


def test_a_training_searches_garbage_but_in_what_it_loaded_and_loads_no_tracker(
    make_job: MakeJob, tmp_path: Path
) -> None:
    path, told = tmp_path / "job.json", tmp_path / "told"
    path.write_text(make_job(max_steps=1).model_dump_json())
    assert subprocess.run(telling(told, "roundsmith.training", path), check=False).returncode == 0
    end = end_of(told)
    assert end.searches
    assert end.left_out > 300_000, "torch and transformers make more objects"
    assert "trl" in end.loaded
    assert not {"wandb", "mlflow", "tensorboard"} & set(end.loaded), "nothing is reported"


def test_cancelling_ends_the_process(make_job: MakeJob) -> None:
    async def cancel_after_a_step() -> int:
        stepped = asyncio.Event()
        job = make_job(max_steps=100_000)
        task = asyncio.create_task(launch(job, on_progress=lambda _: stepped.set()))
        waiting = asyncio.create_task(stepped.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert not task.done(), task.exception()
        child = child_of(os.getpid())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return child

    child = asyncio.run(cancel_after_a_step())
    assert not Path(f"/proc/{child}").exists()


def child_of(parent: int) -> int:
    """The one child process that runs a training."""
    (child,) = (pid for pid in children(parent) if b"roundsmith.training" in command_line(pid))
    return child


@pytest.mark.slow
def test_two_processes_by_torchrun_train_the_same_model_up_to_rounding_and_leave_nothing_in_tmp(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    with holder(scratch, "torchrun") as killed:
        left = folder_of(killed)
        killed.kill()
    alone = make_job(out="alone")
    train(alone)
    shared = make_job(out="shared")
    result = asyncio.run(launch(shared, nproc=2))
    assert result.steps == 6
    losses = [
        [line.loss for line in read_progress(job.out / "progress.jsonl")] for job in (alone, shared)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert close(shared.out / "model", alone.out / "model")
    assert not left.exists(), "what a killed one left is gone too"
    assert not list(scratch.glob("roundsmith*"))
