"""What a training of a round is started with."""

from pathlib import Path

from roundsmith.presets import run_config
from roundsmith.recipes.stage import Stage
from roundsmith.steps.train import training_job
from roundsmith.training import TrainingJob


def job(*settings: str, **options: object) -> TrainingJob:
    config = run_config("lab", None, {"recipe": "gift", **options}, settings)
    stage = Stage.model_validate(config.recipe_config["training"])
    return training_job(config, stage, Path("model"), [Path("rows")], Path("out"), 7)


def test_a_training_follows_the_services_device_and_the_trust_in_the_models_code() -> None:
    given = {"services": {"device": "cpu", "threads": 2}, "trust_remote_code": True, "seed": 2**32}
    made = job(**given)
    assert (made.device, made.num_threads, made.trust_remote_code) == ("cpu", 2, True)
    assert (made.seed, made.max_steps) == (0, 7)
    assert (job().device, job().trust_remote_code) == ("auto", False)


def test_every_setting_of_a_stage_reaches_its_training() -> None:
    made = job("training.dtype=bfloat16", "training.gradient_checkpointing=true")
    assert (made.dtype, made.gradient_checkpointing) == ("bfloat16", True)
    assert made.batch_size == 32
    assert made.max_length == 512
