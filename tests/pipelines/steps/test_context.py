"""What names a step's work: whatever could change what it makes."""

from pathlib import Path
from typing import Any

from tests.pipelines.steps.contexts import context

OWN = '''"""A recipe of a user's own."""

from roundsmith.recipes.contract import Recipe


class Own(Recipe):
    """Chooses nothing."""

    name = "own"

    def select(self, group, random):
        return []


RECIPE = Own
'''


def key(folder: Path, recipe: str, source: str) -> dict[str, Any]:
    """The recipe's part of a key, with its source written as this."""
    recipes = folder / "recipes"
    recipes.mkdir(exist_ok=True)
    (recipes / "own.py").write_text(source)
    sources = ("roundsmith.recipes", str(recipes))
    return context(folder, recipe=recipe, recipes=sources).recipe_key


def test_an_edited_recipe_has_another_key_and_leaves_those_of_others(tmp_path: Path) -> None:
    edited = OWN.replace("return []", "return list()")
    assert key(tmp_path, "own", OWN) == key(tmp_path, "own", OWN)
    assert key(tmp_path, "own", OWN) != key(tmp_path, "own", edited)
    assert key(tmp_path, "gift", OWN) == key(tmp_path, "gift", edited)
