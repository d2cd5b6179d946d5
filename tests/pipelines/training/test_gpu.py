"""A training on a GPU is the training on a CPU, but for rounding."""

from pathlib import Path

import pytest

from roundsmith.training.progress import read_progress
from roundsmith.training.run import train
from tests.pipelines.training.conftest import MakeJob

pytestmark = pytest.mark.gpu


def losses(out: Path) -> list[float]:
    """Of each step."""
    return [line.loss for line in read_progress(out / "progress.jsonl")]


@pytest.mark.parametrize("changed", [{}, {"lora_rank": 4}, {"gradient_checkpointing": True}])
def test_sft_has_the_losses_that_it_has_on_a_cpu(
    make_job: MakeJob, changed: dict[str, object]
) -> None:
    here, there = make_job(out="cpu", **changed), make_job(out="gpu", device="cuda", **changed)
    train(here)
    result = train(there)
    assert (result.device, result.dtype) == ("cuda", "float32")
    assert losses(there.out) == pytest.approx(losses(here.out), rel=1e-3)


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_preferences_have_the_losses_that_they_have_on_a_cpu(
    make_pair_job: MakeJob, objective: str
) -> None:
    jobs = [
        make_pair_job(out=device, objective=objective, device=device) for device in ("cpu", "cuda")
    ]
    for job in jobs:
        train(job)
    assert losses(jobs[1].out) == pytest.approx(losses(jobs[0].out), rel=1e-3)


def test_bfloat16_learns_the_rows(make_job: MakeJob) -> None:
    job = make_job(device="cuda", dtype="bfloat16", epochs=4)
    assert train(job).dtype == "bfloat16"
    assert losses(job.out)[-1] < losses(job.out)[0]
