"""`roundsmith schema`: what a recipe can be set, as JSON Schema."""

import json
from typing import Annotated

import typer

EPILOG = """Example:

roundsmith schema gift | jq .properties.iterations"""


def schema(
    recipe: Annotated[str, typer.Argument(help="A recipe, such as gift.")],
    recipes: Annotated[
        list[str] | None, typer.Option(help="Package, folder or file of recipes of your own.")
    ] = None,
) -> None:
    """Print the JSON Schema of a recipe's settings, with their defaults.

    It is what `--set` of `run`, a table [recipe.NAME] of a TOML file and the parameter `config` of
    the pipeline are checked against.
    """
    from roundsmith.pair_builder.rules import find_rule, load_rules
    from roundsmith.steps.config import RECIPES

    rule = find_rule(load_rules((RECIPES, *(recipes or ()))), recipe)
    config = getattr(rule, "Config")  # noqa: B009  # a rule need not have one
    typer.echo(json.dumps(config.model_json_schema(), indent=2))
