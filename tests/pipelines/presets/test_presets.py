"""Settings are layered, checked, and say what is wrong."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roundsmith.benchmarks.load import load_tasks
from roundsmith.commands.run import check
from roundsmith.errors import ConfigError, UnknownName
from roundsmith.pair_builder.rules import load_rules
from roundsmith.presets import DEFAULT_RECIPE, FOLDER, names, refuse_tables_of_others, run_config
from roundsmith.recipes.contract import Recipe
from roundsmith.recipes.gift import GiftConfig
from roundsmith.steps.config import RunConfig
from roundsmith.types import Split

RECIPES = {
    name: rule
    for name, rule in load_rules(("roundsmith.recipes",)).items()
    if issubclass(rule, Recipe)
}


@pytest.mark.parametrize("preset", [name for name in names() if not name.startswith("paper-")])
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_preset_is_valid_for_every_recipe(preset: str, recipe: str) -> None:
    check(run_config(preset, None, {"recipe": recipe}, []))


def test_the_paper_preset_changes_nothing() -> None:
    found = run_config("paper", None, {"recipe": "gift"}, [])
    assert found == RunConfig(recipe="gift")
    assert GiftConfig.model_validate(found.recipe_config) == GiftConfig()


def test_the_lab_preset_states_how_many_tasks_it_leaves() -> None:
    tasks, lab = load_tasks("lab"), run_config("lab", None, {"recipe": "gift"}, [])
    train, gate, final = (len(tasks.of(split)) for split in Split)
    assert lab.limit is not None
    assert lab.eval_limit is not None
    assert gate <= lab.eval_limit < final
    stated = f"{lab.limit} of {train} training tasks, all {gate} of gate and {lab.eval_limit} of"
    assert f"# {stated} {final} of final:" in (FOLDER / "lab.toml").read_text()


@pytest.mark.parametrize("preset", ["lab", "laptop"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_preset_states_the_papers_value_beside_each_that_it_changes(
    preset: str, recipe: str
) -> None:
    path = FOLDER / f"{preset}.toml"
    config = RECIPES[recipe].Config().model_dump(mode="json")
    for table, own in tables(tomllib.loads(path.read_text())["recipe"].get(recipe, {}), config):
        prefix = ".".join(["recipe", recipe, *table])
        lines = path.read_text().partition(f"[{prefix}]\n")[2].partition("\n[")[0].splitlines()
        defaults = config
        for name in table:
            defaults = defaults[name]
        for name, value in own.items():
            assert value != defaults[name], name
            if isinstance(value, int | float) and name != "micro_batch_size":  # speed alone
                line = next(x for x in lines if x.startswith(f"{name} = "))
                assert float(line.split("#")[1].split(";")[0]) == defaults[name], line


def tables(
    own: dict[str, Any], config: dict[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The tables of settings of a recipe, by their names, each without those below it."""
    yield above, {name: value for name, value in own.items() if not isinstance(value, dict)}
    for name, value in own.items():
        if isinstance(value, dict):
            yield from tables(value, config[name], (*above, name))


def test_the_command_line_wins_over_a_file_and_a_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("seed = 3\nlimit = 7\n[recipe.gift]\niterations = 9\n")
    options = {"recipe": "gift", "limit": 5, "eval_limit": None}
    found = run_config("lab", file, options, ["training.epochs=1", "fallback=last"])
    assert (found.seed, found.limit) == (3, 5)
    assert found.recipe_config["iterations"] == 9
    assert found.recipe_config["training"]["epochs"] == 1
    assert found.recipe_config["fallback"] == "last"
    assert found.recipe_config["max_tokens"] == 128


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


def test_settings_that_do_not_go_together_are_told_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[budget]\nprice = 4.0\n")
    with pytest.raises(ConfigError) as refused:
        run_config("lab", file, {"recipe": "gift"}, [])
    words = "settings: budget.price: expected a table price to reckon by, saw none"
    assert str(refused.value) == words


def test_a_file_names_the_recipe_and_keeps_what_the_preset_sets_for_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('recipe = "rft"\n')
    found = run_config("lab", file, {"recipe": None}, [])
    own = tomllib.loads((FOLDER / "lab.toml").read_text())["recipe"]["rft"]
    assert (found.recipe, found.recipe_config) == ("rft", own)
    assert run_config("lab", file, {"recipe": "gift"}, []).recipe == "gift"
    assert run_config("lab", None, {}, []).recipe == DEFAULT_RECIPE


def test_a_file_with_tables_of_other_recipes_alone_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[recipe.dstc]\nnum_codes = 3\n")
    with pytest.raises(ConfigError, match=r"\[recipe.gift\], .* saw \[recipe.dstc\]: .*--recipe"):
        refuse_tables_of_others(file, "gift")
    refuse_tables_of_others(file, "dstc")
    assert run_config("lab", file, {"recipe": "dstc"}, []).recipe_config["num_codes"] == 3
    assert run_config("lab", file, {"recipe": "rft"}, []).recipe == "rft", "an arm beside dstc's"


def test_a_recipe_named_beside_its_table_is_told_how_toml_takes_both(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('recipe = "dstc"\n[recipe.dstc]\nnum_codes = 3\n')
    with pytest.raises(ConfigError, match=r"under \[recipe_config\]; .*--recipe"):
        run_config("lab", file, {}, [])
    file.write_text('recipe = "dstc"\n[recipe_config]\nnum_codes = 3\n')
    assert run_config("lab", file, {}, []).recipe_config["num_codes"] == 3


def test_a_file_turns_the_control_off_and_the_command_line_on_again(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("control = false\n")
    assert not run_config("lab", file, {"control": None}, []).control
    assert run_config("lab", file, {"control": True}, []).control
    assert run_config("lab", None, {"control": None}, []).control


def test_the_preset_follows_the_model_wherever_it_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('model = "org/name"\n')

    def choose(model: str) -> str:
        return "lab" if model == "lab" else "laptop"

    assert run_config(choose, None, {}, []).preset == "lab"
    assert run_config(choose, file, {}, []).preset == "laptop"
    assert run_config(choose, file, {"model": "lab"}, []).preset == "lab"
    assert run_config("paper", file, {}, []).preset == "paper"
    file.write_text('preset = "laptop"\n')
    found = run_config(choose, file, {}, [])
    assert (found.preset, found.services.generator_slots) == ("laptop", 16)


def test_settings_of_a_recipe_outside_a_table_of_its_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[recipe]\niterations = 3\n")
    with pytest.raises(ConfigError, match=r"recipe\.iterations: expected a table.*saw 3"):
        run_config("lab", file, {}, [])


def test_a_misspelt_setting_of_a_recipe_is_told_with_the_nearest_and_the_list(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[recipe.gift]\niteratons = 3\n")
    for config in (
        run_config("lab", None, {"recipe": "gift"}, ["iteration=3"]),
        run_config("lab", file, {"recipe": "gift"}, []),
    ):
        with pytest.raises(ConfigError, match=r"did you mean 'iterations'.*one of.*temperature"):
            check(config)
    nested = run_config("lab", None, {"recipe": "gift"}, ["training.epoch=3"])
    with pytest.raises(ConfigError, match=r"training\.epoch: .*did you mean 'epochs'"):
        check(nested)


def test_a_recipes_setting_at_the_top_of_a_file_is_told_where_it_belongs(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("iterations = 3\n")
    with pytest.raises(
        ConfigError, match=r"iterations: expected under \[recipe\.gift\]"
    ) as refused:
        run_config("lab", file, {"recipe": "gift"}, [])
    assert "did you mean" not in str(refused.value)


@pytest.mark.parametrize("setting", ["shard_tasks=1000", "evaluation.samples=4"])
def test_a_setting_of_the_run_given_as_one_of_the_recipe_is_told_where_it_belongs(
    setting: str,
) -> None:
    with pytest.raises(ConfigError, match=r"saw one of the run: .* in a --config file"):
        run_config("lab", None, {"recipe": "gift"}, [setting])
