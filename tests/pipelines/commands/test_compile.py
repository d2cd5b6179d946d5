"""`roundsmith compile` as a person types it."""

import json
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.errors import UnknownName
from roundsmith.steps.config import RunConfig

pytest.importorskip("kfp", reason="needs the extra cluster")


def settings(path: Path) -> RunConfig:
    """What the compiled pipeline defaults to."""
    parameters = yaml.safe_load(path.read_text())["root"]["inputDefinitions"]["parameters"]
    return RunConfig.model_validate_json(parameters["settings"]["defaultValue"])


def test_options_reach_the_pipeline(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    arguments = ["compile", "--recipe", "rft", "--output", str(path), "--seed", "4", "--limit", "9"]
    arguments += ["--set", "training.epochs=1", "--rounds", "3", "--round", "2", "--no-control"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "round 2 of 3 of rft" in done.output
    config = settings(path)
    assert (config.recipe, config.seed, config.limit, config.rounds) == ("rft", 4, 9, 3)
    assert config.recipe_config["training"]["epochs"] == 1
    assert not config.control
    assert "final" not in json.dumps(yaml.safe_load(path.read_text())["root"]["dag"])


@pytest.mark.parametrize(("options", "preset"), [([], "lab"), (["--model", "org/name"], "paper")])
def test_the_preset_follows_the_model_and_not_this_machine(
    tmp_path: Path, options: list[str], preset: str
) -> None:
    path = tmp_path / "p.yaml"
    arguments = ["compile", "--output", str(path), *options]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert settings(path).preset == preset


def test_a_file_decides_what_the_command_line_leaves_open(tmp_path: Path) -> None:
    path, file = tmp_path / "p.yaml", tmp_path / "mine.toml"
    file.write_text('recipe = "rft"\ncontrol = false\nmodel = "org/name"\n')
    arguments = ["compile", "--output", str(path), "--config", str(file)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "of rft" in done.output
    config = settings(path)
    assert (config.recipe, config.control, config.preset) == ("rft", False, "paper")
    CliRunner().invoke(app, [*arguments, "--control"], catch_exceptions=False)
    assert settings(path).control


def test_an_unknown_recipe_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    with pytest.raises(UnknownName, match=r"'nosuch'.*dstc, gift, ") as caught:
        CliRunner().invoke(
            app,
            ["compile", "--recipe", "nosuch", "--output", str(path)],
            catch_exceptions=False,
        )
    assert caught.value.exit_code == 2
    assert not path.exists()


def test_the_help_shows_an_example() -> None:
    done = CliRunner().invoke(app, ["compile", "--help"], catch_exceptions=False)
    assert "roundsmith compile --recipe gift --output gift.yaml" in done.output
