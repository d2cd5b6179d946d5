"""Settings are layered, checked, and say what is wrong."""

import tomllib
from pathlib import Path

import pytest

from roundsmith.commands.run import check
from roundsmith.errors import ConfigError, UnknownName
from roundsmith.presets import FOLDER, names, run_config
from roundsmith.recipes.gift import GiftConfig
from roundsmith.steps.config import RunConfig


@pytest.mark.parametrize("preset", names())
@pytest.mark.parametrize("recipe", ["gift", "rft"])
def test_every_preset_is_valid_for_every_recipe(preset: str, recipe: str) -> None:
    check(run_config(preset, None, {"recipe": recipe}, []))


def test_the_paper_preset_changes_nothing() -> None:
    found = run_config("paper", None, {"recipe": "gift"}, [])
    assert found == RunConfig(recipe="gift")
    assert GiftConfig.model_validate(found.recipe_config) == GiftConfig()


@pytest.mark.parametrize("preset", ["lab", "laptop"])
def test_a_preset_states_the_papers_value_beside_each_that_it_changes(preset: str) -> None:
    text = (FOLDER / f"{preset}.toml").read_text()
    section = text.partition("[recipe.gift]")[2]
    own = tomllib.loads(text)["recipe"]["gift"]
    defaults = GiftConfig().model_dump()
    for name, value in own.items():
        if name == "training":
            continue
        assert value != defaults[name], name
        line = next(x for x in section.splitlines() if x.startswith(f"{name} = "))
        stated = float(line.split("#")[1].split(";")[0])
        assert stated == defaults[name], line


def test_the_command_line_wins_over_a_file_and_a_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("seed = 3\nlimit = 7\n[recipe.gift]\niterations = 9\n")
    options = {"recipe": "gift", "limit": 5, "eval_limit": None}
    found = run_config("lab", file, options, ["training.epochs=1", "fallback=last"])
    assert (found.seed, found.limit) == (3, 5)
    assert found.recipe_config["iterations"] == 9
    assert found.recipe_config["training"]["epochs"] == 1
    assert found.recipe_config["fallback"] == "last"
    assert found.recipe_config["selected_per_task"] == 4


def test_a_wrong_name_is_told_with_the_nearest_right_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"expected one of .*did you mean 'lab'"):
        run_config("labb", None, {"recipe": "gift"}, [])
    file = tmp_path / "mine.toml"
    file.write_text("sede = 3\n")
    with pytest.raises(ConfigError, match="did you mean 'seed'"):
        run_config("lab", file, {"recipe": "gift"}, [])
    with pytest.raises(ConfigError, match="iteration"):
        check(run_config("lab", None, {"recipe": "gift"}, ["iteration=3"]))
    with pytest.raises(ConfigError, match="name=value"):
        run_config("lab", None, {"recipe": "gift"}, ["iterations"])
