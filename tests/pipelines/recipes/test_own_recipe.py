"""The recipe that docs/recipes.md shows is one: it loads from a user's folder and chooses."""

import re
from pathlib import Path
from random import Random

from roundsmith.pair_builder.rules import load_rules, select
from roundsmith.recipes.contract import Recipe
from tests.pipelines.recipes.groups import code, group, passes

PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"


def test_the_recipe_in_the_docs_loads_beside_ours_and_keeps_the_shortest(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "shortest.py").write_text(found[1])
    rules = load_rules(["roundsmith.recipes", str(tmp_path)])
    assert {"gift", "rft", "shortest"} <= set(rules)
    assert issubclass(rules["shortest"], Recipe)
    long, short = code("long", 0, "    return x + x + 0"), code("short", 0)
    whole = group((long, short), passes(long, short))
    rows = select(rules, "shortest", {}, 0, whole)
    assert [row.provenance.parents for row in rows] == [("short",)]
    assert rules["shortest"].from_config({}).select(whole, Random(0)) == rows
