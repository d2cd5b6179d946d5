"""Presets: named settings of a run, as TOML files in this folder or the user's own."""

import difflib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from roundsmith.errors import ConfigError, UnknownName
from roundsmith.pair_builder.rules import Rule, load_rules
from roundsmith.steps.config import RunConfig
from roundsmith.wrong_settings import explain, fields_at

FOLDER = Path(__file__).parent
DEFAULT_RECIPE = "gift"
"""The recipe of a run that names none."""


def names() -> list[str]:
    """The presets that come with Roundsmith."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def run_config(
    preset: str | Callable[[str], str],
    file: Path | None,
    options: Mapping[str, Any],
    settings: Sequence[str],
) -> RunConfig:
    """The settings of a run: the preset's, then a file's, then the command line's.

    `preset` is a name, or chooses one by the model where the file names none. `options` are fields
    of RunConfig (None is left out), `settings` are `name=value` of the recipe, with dots for nested
    ones. A table `recipe.NAME` holds a recipe's settings, a word `recipe` names the recipe. Raises
    ConfigError that names what is wrong.
    """
    given = {name: value for name, value in options.items() if value is not None}
    own = _read(file) if file else {}
    named = own.pop("preset", None)
    if not isinstance(preset, str):
        default = RunConfig.model_fields["model"].default
        preset = str(named or preset(given.get("model", own.get("model", default))))
    merged: dict[str, Any] = {"recipe": DEFAULT_RECIPE}
    tables: dict[str, Any] = {}
    for layer in (_read(_preset_file(preset)), own, given):
        recipe = layer.pop("recipe", {})
        if isinstance(recipe, dict):
            tables = merge(tables, _tables(recipe))
        else:
            merged["recipe"] = recipe
        merged = merge(merged, layer)
    of_recipe = tables.get(str(merged["recipe"]), {})
    merged["recipe_config"] = merge(of_recipe, merged.get("recipe_config", {}))
    for setting in map(_setting, settings):
        _refuse_one_of_the_run(next(iter(setting)), merged)
        merged["recipe_config"] = merge(merged["recipe_config"], setting)
    if not getattr(_rule(merged), "has_control", True):
        merged.setdefault("control", False)
    try:
        return RunConfig.model_validate({"preset": preset, **merged})
    except ValidationError as error:
        raise ConfigError(_explain(error, merged)) from error


def preset_in(file: Path) -> str | None:
    """The preset that a file of settings names, if it does."""
    named = _read(file).get("preset")
    return str(named) if named else None


def _preset_file(preset: str) -> Path:
    if preset not in names():
        close = difflib.get_close_matches(preset, names(), 1)
        hint = f": did you mean {close[0]!r}?" if close else ""
        raise UnknownName(f"preset {preset!r}: expected one of {', '.join(names())}{hint}")
    return FOLDER / f"{preset}.toml"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        both = (
            ': a file with recipe = "NAME" has its settings under [recipe_config]; one with '
            "[recipe.NAME] has the recipe named by --recipe"
            if str(error).startswith("Cannot overwrite a value")
            else ""
        )
        raise ConfigError(f"{path}: expected a TOML file, saw: {error}{both}") from error


def _tables(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in recipe.items():
        if not isinstance(value, dict):
            raise ConfigError(
                f"settings: recipe.{name}: expected a table of one recipe's settings, such as "
                f"[recipe.{DEFAULT_RECIPE}], saw {value!r}"
            )
    return recipe


def refuse_tables_of_others(file: Path, recipe: str) -> None:
    """Raises ConfigError for a run's file with tables of recipes of which none is the run's: what
    it says would be lost. Where runs of several recipes share a file, some find none in it.
    """
    tables = _read(file).get("recipe")
    if isinstance(tables, dict) and tables and recipe not in tables:
        named = ", ".join(f"[recipe.{name}]" for name in tables)
        raise ConfigError(
            f"{file}: expected a table [recipe.{recipe}], because this run's recipe is {recipe}, "
            f"saw {named}: name another recipe by --recipe, or correct the table"
        )


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of `base` with what `over` says in their place, table by table."""
    merged = dict(base)
    for name, value in over.items():
        old = merged.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[name] = merge(old, value)
        else:
            merged[name] = value
    return merged


def _setting(text: str) -> dict[str, Any]:
    """The nested table of `a.b=value`; the value is read as TOML, else as a word."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--set {text!r}: expected name=value, such as --set iterations=3")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in reversed(name.strip().split(".")):
        parsed = {part: parsed}
    assert isinstance(parsed, dict)
    return parsed


def _refuse_one_of_the_run(name: str, settings: Mapping[str, Any]) -> None:
    """Raises ConfigError for a name that the run knows and its recipe does not."""
    own = _settings_of(settings) if name in RunConfig.model_fields else []
    if own and name not in own:
        raise ConfigError(
            f"--set {name}: expected a setting of recipe {settings['recipe']}, saw one of the run: "
            "give it by its own option, or in a --config file"
        )


def _explain(error: ValidationError, settings: Mapping[str, Any]) -> str:
    table = f"[recipe.{settings['recipe']}]"
    elsewhere = dict.fromkeys(_settings_of(settings), table)
    return f"settings: {explain(error, RunConfig, elsewhere)}"


def _settings_of(settings: Mapping[str, Any]) -> list[str]:
    """The names of the recipe's own settings; none where the recipe can not be loaded."""
    return fields_at(getattr(_rule(settings), "Config", None), ())


def _rule(settings: Mapping[str, Any]) -> type[Rule] | None:
    """The class of the recipe that settings name; None where it can not be loaded."""
    try:
        rules = load_rules(settings.get("recipes", RunConfig.model_fields["recipes"].default))
    except ConfigError:
        return None
    return rules.get(str(settings["recipe"]))
