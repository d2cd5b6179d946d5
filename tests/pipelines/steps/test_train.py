"""What a training of a round is asked for, and what its key tells."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from roundsmith.config import cpu_count
from roundsmith.lab.splits import tasks
from roundsmith.recipes.contract import gold_example
from roundsmith.recipes.stage import Stage
from roundsmith.recipes.styles import CompletionStyle
from roundsmith.steps import run_step
from roundsmith.steps.context import Context, Made
from roundsmith.steps.train import short_training, training_key, training_request
from roundsmith.store import EXAMPLES, Manifest
from roundsmith.training import StoredTraining, TrainingJob
from roundsmith.types import Split
from tests.pipelines.steps.contexts import context

NAME = "0" * 64


def request(folder: Path, **settings: Any) -> StoredTraining:
    """The training of one row from the lab's model for seven steps."""
    ctx = context(folder, **settings)

    async def inputs() -> tuple[Manifest, Manifest]:
        return await one_row(ctx), ctx.manifest(await run_step(ctx, "load_model"))

    rows, model = asyncio.run(inputs())
    (stage,) = ctx.recipe.stages()
    return training_request(ctx, NAME, rows, model, stage, 7)


async def one_row(ctx: Context) -> Manifest:
    """The manifest of one training row."""
    (task,) = tasks(Split.TRAIN, 1)
    prompt = CompletionStyle().code(task, task.description)
    row = gold_example(task, prompt, "    return 1", "gift")

    async def make() -> Made:
        return Made([ctx.store.write_rows(EXAMPLES, [row])])

    return await ctx.once("select", 1, {}, (), make)


def job(folder: Path, **settings: Any) -> TrainingJob:
    """The same as a job of this machine."""
    return request(folder, **settings).fetch(folder / "model", folder / "out")


def test_a_training_follows_the_services_device_and_the_trust_in_the_models_code(
    tmp_path: Path,
) -> None:
    services = {"device": "cpu", "threads": 2}
    made = job(tmp_path, services=services, trust_remote_code=True, seed=2**32)
    assert (made.device, made.num_threads, made.trust_remote_code) == ("cpu", 2, True)
    assert (made.seed, made.max_steps) == (0, 7)


def test_words_of_the_settings_are_told_as_what_they_mean_here(tmp_path: Path) -> None:
    told = request(tmp_path).arithmetic
    assert (told.threads, told.processes) == (cpu_count(), 1)
    assert told == request(tmp_path, services={"device": told.device}).arithmetic


def test_a_checkpoint_of_grpo_depends_on_how_the_generator_draws_and_no_other_does(
    tmp_path: Path,
) -> None:
    def keys(slots: int) -> list[tuple[str, dict[str, Any]]]:
        services = {"generator_slots": slots, "device": "cpu"}
        ctx = context(tmp_path, recipe="atomic", services=services)
        stages = enumerate(ctx.recipe.stages())
        return [(s.objective, training_key(ctx, s, number, 7)) for number, s in stages]

    (_, sft), (name, grpo) = keys(8)
    (_, sft_again), (_, grpo_again) = keys(16)
    assert name == "grpo"
    assert sft == sft_again
    assert grpo != grpo_again


def test_every_setting_of_a_stage_reaches_its_training(tmp_path: Path) -> None:
    training = {"dtype": "bfloat16", "gradient_checkpointing": True, "batch_size": 6}
    made = job(tmp_path, recipe_config={"training": training})
    assert (made.dtype, made.gradient_checkpointing, made.batch_size) == ("bfloat16", True, 6)
    assert made.max_length == 512, "of the preset"
    assert [path.is_file() for path in made.rows] == [True]
    assert (made.model / "config.json").is_file()


def test_a_request_outlives_its_journey(tmp_path: Path) -> None:
    asked = request(tmp_path)
    assert StoredTraining.parse(asked.model_dump_json().encode(), "it") == asked


@pytest.mark.parametrize(
    ("steps", "start", "said"),
    [
        (1, 0.0, "saw 1: the learning rate was 0 throughout, so that nothing was learnt; give"),
        (4, 0.0, "than the 5 of the warm-up, saw 4: at most 60 % of the learning rate"),
        (1, 0.25, "at most 25 % of the learning rate"),
        (6, 0.0, None),
    ],
)
def test_a_training_that_ends_within_its_warm_up_is_told(
    steps: int, start: float, said: str | None
) -> None:
    told = short_training(Stage(warmup_steps=5, warmup_start_ratio=start), steps)
    assert said in told if said and told else told is said
