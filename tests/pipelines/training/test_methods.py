"""How weights are trained, whatever for: adapters, Adafactor, activations made twice."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from roundsmith.training.progress import read_progress
from roundsmith.training.run import train
from tests.pipelines.training.conftest import MakeJob
from tests.pipelines.training.doomed import cut_short


@pytest.mark.parametrize("objective", ["sft", "dpo", "kto"])
def test_adapters_change_linear_layers_alone_and_end_in_a_whole_model(
    make_job: MakeJob, make_pair_job: MakeJob, model: Path, objective: str
) -> None:
    make = make_job if objective == "sft" else make_pair_job
    job = make(objective=objective, lora_rank=4, max_steps=6, learning_rate=1e-2)
    train(job)
    before, after = (load_file(f / "model.safetensors") for f in (model, job.out / "model"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed
    assert all(name.endswith("_proj.weight") for name in changed)
    assert len(changed) == 2 * 7, "query, key, value, output, gate, up, down of both layers"
    lines = list(read_progress(job.out / "progress.jsonl"))
    assert lines[-1].loss < lines[0].loss
    assert {path.name for path in (job.out / "model").iterdir()} >= {"config.json"}
    assert not list((job.out / "model").glob("adapter*"))


def test_a_training_of_adapters_cut_short_ends_with_bitwise_the_same_weights(
    make_pair_job: MakeJob,
) -> None:
    settings = {"max_steps": 10, "checkpoint_every_steps": 3, "lora_rank": 4}
    undisturbed = train(make_pair_job(out="undisturbed", **settings))
    job = make_pair_job(out="killed", **settings)
    cut_short(job, 7)
    assert train(job) == undisturbed


def test_adafactor_learns_and_goes_on_after_its_end(make_job: MakeJob) -> None:
    settings = {
        "optimizer": "adafactor",
        "max_steps": 30,
        "checkpoint_every_steps": 3,
        "warmup_start_ratio": 0,
        "max_grad_norm": 0,
    }
    undisturbed_job = make_job(out="undisturbed", **settings)
    undisturbed = train(undisturbed_job)
    lines = list(read_progress(undisturbed_job.out / "progress.jsonl"))
    assert lines[-1].loss < lines[0].loss
    assert [line.learning_rate for line in lines[:3]] == pytest.approx([0, 5e-4, 1e-3])
    job = make_job(out="killed", **settings)
    cut_short(job, 7)
    assert train(job) == undisturbed


def test_activations_made_twice_give_the_same_losses(
    make_job: MakeJob, make_pair_job: MakeJob
) -> None:
    for make, objective in ((make_job, "sft"), (make_pair_job, "dpo"), (make_pair_job, "kto")):
        found = []
        for twice in (False, True):
            job = make(
                objective=objective, gradient_checkpointing=twice, out=f"{objective}-{twice}"
            )
            train(job)
            found.append([line.loss for line in read_progress(job.out / "progress.jsonl")])
        assert found[0] == pytest.approx(found[1], rel=1e-5)
