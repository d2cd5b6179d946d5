"""A plan says what would be done and leaves everything as it is."""

from pathlib import Path

import pytest

from roundsmith.commands.planned import planned
from roundsmith.errors import ConfigError
from roundsmith.platform.local import LocalPlatform
from roundsmith.presets import run_config
from roundsmith.steps.config import RunConfig
from roundsmith.steps.forecast import Forecast
from roundsmith.steps.plan import PlannedStep, a_selected_row, remaining
from roundsmith.steps.spent import Spent
from roundsmith.store import Manifest


def config(**settings: object) -> RunConfig:
    return run_config("lab", None, {"recipe": "gift", "limit": 4, "eval_limit": 3, **settings}, [])


def steps(folder: Path, settings: RunConfig) -> list[PlannedStep]:
    platform = LocalPlatform(settings, folder / "work")
    return planned(settings, str(folder / "store"), platform, str(folder))


def test_in_an_empty_folder_everything_is_to_do_and_nothing_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    found = steps(folder, config(rounds=2))
    assert not folder.exists()
    assert {step.todo for step in found} == {1.0}
    assert [step.label for step in found if step.round == 1][:4] == [
        "load_tasks",
        "load_model",
        "evaluate gate (before)",
        "sample",
    ]
    why = {step.label: step.why for step in found if step.round == 1}
    assert (why["load_tasks"], why["load_model"]) == ("not made yet", "not made yet")
    assert (why["sample"], why["report"]) == ("follows load_model", "follows decide")
    assert any(step.label == "evaluate final (control)" for step in found if step.round == 2)
    assert remaining(found, 1) is None


def test_a_path_that_is_no_folder_is_told_before_a_plan_promises_a_round_with_it(
    tmp_path: Path,
) -> None:
    for model in (str(tmp_path / "nosuch"), "./nosuch", "runs/lab/nosuch"):
        with pytest.raises(ConfigError, match="nosuch': saw no such folder"):
            steps(tmp_path, config(model=model))
    hub = steps(tmp_path, config(model="owner/name"))
    assert (hub[1].label, hub[1].why) == ("load_model", "not fetched yet")


def test_a_forecast_is_the_mean_over_what_was_done() -> None:
    def took(key: str, seconds: float, samples: int) -> Manifest:
        return Manifest("sample", key * 64, stats={"samples": samples}, cost={"seconds": seconds})

    forecast = Forecast([took("0", 10.0, 100), took("1", 50.0, 200)])
    spent = forecast.of("sample", 30)
    assert spent is not None
    assert spent.seconds == pytest.approx(30 * 60 / 300)
    assert forecast.of("score", 30) is None


def test_a_stage_of_a_training_is_reckoned_without_those_before_it() -> None:
    def stage(number: int, seconds: float, *parents: str) -> Manifest:
        config = {"number": number, "stage": {"batch_size": 10}}
        cost = {"seconds": seconds}
        return Manifest("train", f"{number}" * 64, (), parents, config, {"steps": 5}, "", cost)

    first = stage(0, 20.0)
    forecast = Forecast([stage(1, 50.0, first.hash), first])
    spent = forecast.of("train", 50)
    assert spent is not None
    assert spent.seconds == pytest.approx((20 + 30) / 2)


def test_a_round_is_as_long_as_what_is_left_of_it() -> None:
    done = PlannedStep(1, "sample", 0.0, Spent())
    half = PlannedStep(1, "train", 0.5, Spent(seconds=20))
    other = PlannedStep(2, "train", 1.0, Spent(seconds=40))
    assert remaining([done, half, other], 1) == Spent(seconds=20)
    assert remaining([done, half, PlannedStep(1, "score", 1.0, None)], 1) is None


def test_a_selected_row_takes_its_share_of_what_it_rests_on_by_hand() -> None:
    sample = PlannedStep(1, "sample", 0.5, Spent(seconds=20))  # all of it takes 40
    score = PlannedStep(1, "score", 1.0, Spent(seconds=8))
    select = PlannedStep(1, "select", 1.0, Spent(seconds=2), rows=100)
    train = PlannedStep(1, "train", 1.0, Spent(seconds=1000))
    assert a_selected_row([sample, score, select, train], 1) == Spent(seconds=0.5)
    found = PlannedStep(1, "sample", 0.0, Spent())
    assert a_selected_row([found, score, select, train], 1) is None
    unknown = PlannedStep(1, "score", 1.0, None)
    assert a_selected_row([sample, unknown, select, train], 1) is None


def test_a_plan_knows_how_many_rows_there_may_be(tmp_path: Path) -> None:
    settings = run_config(
        "lab", None, {"recipe": "gift", "limit": 4, "eval_limit": 3}, ["selected_per_task=5"]
    )
    rows = {step.label: step.rows for step in steps(tmp_path, settings)}
    assert {label: most for label, most in rows.items() if most} == {"select": 4 * 5}
