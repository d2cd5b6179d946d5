"""The recipe that docs/recipes.md shows is one: it loads from a user's folder and chooses. And of
all recipes: one setting that is given changes no other.
"""

import re
from pathlib import Path
from random import Random

import pytest
from pydantic import BaseModel

from roundsmith.pair_builder.rules import load_rules, select
from roundsmith.recipes.contract import Recipe
from tests.pipelines.recipes.groups import code, group, passes
from tests.pipelines.round.lab_round import play_recipe, selected, summary

PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"


def write_recipe(folder: Path) -> None:
    """The recipe of the page, in a user's folder."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    folder.mkdir(exist_ok=True)
    (folder / "shortest.py").write_text(found[1])


def test_the_recipe_in_the_docs_loads_beside_ours_and_keeps_the_shortest(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    rules = load_rules(["roundsmith.recipes", str(tmp_path)])
    assert {"gift", "rft", "shortest"} <= set(rules)
    assert issubclass(rules["shortest"], Recipe)
    long, short = code("long", 0, "    return x + x + 0"), code("short", 0)
    whole = group((long, short), passes(long, short))
    rows = select(rules, "shortest", {}, 0, whole)
    assert [row.provenance.parents for row in rows] == [("short",)]
    assert rules["shortest"].from_config({}).select(whole, Random(0)) == rows


@pytest.mark.slow
def test_the_recipe_in_the_docs_plays_a_round_from_a_users_folder(tmp_path: Path) -> None:
    write_recipe(tmp_path / "mine")
    short = ("--eval-limit", "2", "--set", "training.epochs=1")
    out, options = tmp_path / "run", ("--recipes", str(tmp_path / "mine"), "--no-control", *short)
    play_recipe(out, "shortest", *options)
    found = summary(out)["result"]
    chosen = [row.provenance.parents for row in selected(out)]
    assert found["funnel"]["rows trained"] == len(chosen) > 0
    assert all(len(parents) == 1 for parents in chosen)
    assert found["checkpoint_sha256"] != found["weights_sha256"]


@pytest.mark.parametrize("name", sorted(load_rules(["roundsmith.recipes"])))
def test_a_setting_that_is_given_as_it_is_by_default_changes_no_other(name: str) -> None:
    rule = load_rules(["roundsmith.recipes"])[name]
    assert issubclass(rule, Recipe)
    plain = rule.from_config({}).config
    for table, inner in ((t, v) for t, v in plain if isinstance(v, BaseModel)):
        for setting, value in inner.model_dump().items():
            assert rule.from_config({table: {setting: value}}).config == plain, (table, setting)
