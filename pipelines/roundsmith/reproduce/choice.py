"""What a person chooses of a comparison, and the settings of every arm that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundsmith.claims import TIMES, Claims
from roundsmith.config import Settings
from roundsmith.pair_builder.rules import configure, find_rule, load_rules
from roundsmith.presets import merge, run_config
from roundsmith.recipes.contract import Recipe
from roundsmith.steps.config import RunConfig

FIRST_TUNING_SEED = 1_000_000
"""Seeds from here on are for choosing learning rate and beta, those below for comparing."""
Tuned = Mapping[str, float]
"""A row of a grid."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the arms are played, and how large they are; None is the preset's."""

    preset: str
    models: tuple[str, ...]
    """Seeds take turns at them."""
    tasks: str
    limit: int | None = None
    eval_limit: int | None = None
    config: Path | None = None
    engine: str | None = None
    trust_remote_code: bool = False

    def model_of(self, seed: int) -> str:
        """The base model of a seed."""
        return self.models[seed % len(self.models)]

    def config_of(
        self, recipe: str, seed: int, settings: Mapping[str, Any], texts: bool = False
    ) -> RunConfig:
        """The settings of a run of this recipe, which with `texts` drops rows that hold a held-out
        text. Raises ConfigError that names what is wrong.
        """
        given = {
            "recipe": recipe,
            "recipe_config": dict(settings),
            "model": self.model_of(seed),
            "tasks": self.tasks,
            "limit": self.limit,
            "eval_limit": self.eval_limit,
            "seed": seed,
            "control": False,
            "services": {"engine": self.engine} if self.engine else None,
            "trust_remote_code": self.trust_remote_code or None,
            "contamination": {"texts": True} if texts else None,
        }
        return run_config(self.preset, self.config, given, [])


def recipe_of(claims: Claims, arm: str) -> str:
    """The recipe of an arm: its own, that of an arm that it is like, or the file's."""
    named = (claims.arms[name].recipe for name in claims.chain(arm))
    return next((recipe for recipe in named if recipe), claims.recipe)


def config_of(
    claims: Claims, choice: Choice, arm: str, seed: int, tuned: Tuned, scale: int | None = None
) -> RunConfig:
    """The settings of an arm on a seed, with tuned values, and `scale` for its `scaled` setting.
    Every arm drops the held-out texts that the file's own recipe drops.
    """
    recipe, settings = recipe_of(claims, arm), dict[str, Any]()
    texts = built(choice.config_of(claims.recipe, seed, {})).decontaminates
    for name in reversed(claims.chain(arm)):
        settings = merge(settings, claims.arms[name].settings)
    if scale is not None:
        settings = merge(settings, {claims.arms[arm].scaled: scale})
    plain = choice.config_of(recipe, seed, settings)
    training = built(plain).config.training
    found: dict[str, Any] = {}
    for name, value in tuned.items():
        path = name.removesuffix(TIMES).split(".")
        if (preset := _at(training, path)) is not None:
            found = merge(found, _nested(path, value * preset if name.endswith(TIMES) else value))
    return choice.config_of(recipe, seed, merge(settings, {"training": found}), texts)


def _at(training: Settings, path: Sequence[str]) -> float | None:
    """The number at a path of settings; None where they have no such."""
    found: Any = training
    for name in path:
        found = getattr(found, name, None)
    assert found is None or isinstance(found, int | float), f"{path}: {found!r} is no number"
    return found


def _nested(path: Sequence[str], value: float) -> dict[str, Any]:
    table: Any = value
    for name in reversed(path):
        table = {name: table}
    assert isinstance(table, dict)
    return table


def built(config: RunConfig) -> Recipe:
    """The recipe with its settings."""
    rules = load_rules(config.recipes)
    recipe = configure(find_rule(rules, config.recipe), config.recipe, config.recipe_config)
    assert isinstance(recipe, Recipe)
    return recipe
