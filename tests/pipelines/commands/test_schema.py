"""`roundsmith schema` tells what a recipe takes, and leaves no level open."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.errors import UnknownName
from roundsmith.pair_builder.rules import configure, load_rules
from roundsmith.steps.config import RECIPES

RULES = load_rules([RECIPES])


def tables(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every table of settings in a schema."""
    for told in (schema, *schema.get("$defs", {}).values()):
        if "properties" in told:
            yield told


@pytest.mark.parametrize("recipe", sorted(RULES))
def test_the_schema_is_closed_and_its_defaults_are_the_recipes(recipe: str) -> None:
    done = CliRunner().invoke(app, ["schema", recipe], catch_exceptions=False)
    told = json.loads(done.output)
    assert all(table["additionalProperties"] is False for table in tables(told))
    defaults = {
        n: field["default"] for n, field in told["properties"].items() if "default" in field
    }
    assert defaults
    made: Any = configure(RULES[recipe], recipe, defaults)
    assert made.config == RULES[recipe].from_config({}).config  # type: ignore[attr-defined]  # a recipe's


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(UnknownName, match="'gitf'"):
        CliRunner().invoke(app, ["schema", "gitf"], catch_exceptions=False)
