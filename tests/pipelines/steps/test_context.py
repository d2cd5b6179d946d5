"""What names a step's work: whatever could change what it makes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from roundsmith.errors import StoreError
from roundsmith.steps.context import Made
from roundsmith.store import Manifest
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
    return context(folder, recipe=recipe, recipes=sources).recipe_key()


def test_an_edited_recipe_has_another_key_and_leaves_those_of_others(tmp_path: Path) -> None:
    edited = OWN.replace("return []", "return list()")
    assert key(tmp_path, "own", OWN) == key(tmp_path, "own", OWN)
    assert key(tmp_path, "own", OWN) != key(tmp_path, "own", edited)
    assert key(tmp_path, "gift", OWN) == key(tmp_path, "gift", edited)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "bitwise"),
        ({"arithmetic": {"device": "cpu", "threads": 2}}, "bitwise"),
        ({"arithmetic": {"device": "cuda", "threads": 2}}, "distribution"),
        ({"arithmetic": {"device": "cpu", "engine": "vllm"}}, "distribution"),
        ({"arithmetic": {"device": "cpu"}, "rollouts": {"engine": "transformers"}}, "bitwise"),
        ({"arithmetic": {"device": "cpu"}, "rollouts": {"engine": "vllm"}}, "distribution"),
    ],
)
def test_what_a_gpu_or_another_engine_made_is_told_as_a_draw(
    tmp_path: Path, config: dict[str, Any], expected: str
) -> None:
    async def nothing() -> Made:
        return Made()

    made = asyncio.run(context(tmp_path).once("sample", 1, config, (), nothing))
    assert made.reproducible == expected


def test_what_a_part_of_a_recipe_does_not_read_is_not_in_its_key(tmp_path: Path) -> None:
    def keys(rule: str) -> tuple[dict[str, Any], dict[str, Any]]:
        ctx = context(tmp_path, recipe="dstc", recipe_config={"rule": rule, "join_tests": False})
        return ctx.recipe_key(ctx.recipe.scoring | ctx.recipe.selecting), ctx.recipe_key()

    (drawn, chosen), (drawn_again, chosen_again) = keys("minimax"), keys("random")
    assert drawn == drawn_again
    assert chosen != chosen_again


def test_the_objective_is_in_no_key_of_what_was_drawn_or_chosen(tmp_path: Path) -> None:
    dpo, kto = (
        context(tmp_path, recipe="dstc", recipe_config={"training": {"objective": name}})
        for name in ("dpo", "kto")
    )
    assert dpo.recipe_key() == kto.recipe_key()
    assert dpo.recipe.stages() != kto.recipe.stages()


def test_finished_work_that_was_removed_in_the_middle_of_a_run_is_told_with_what_to_do(
    tmp_path: Path,
) -> None:
    ctx = context(tmp_path)
    made = ctx.store.commit(Manifest("tasks", "0" * 64, (ctx.store.put_blob(b"rows"),)))
    assert ctx.manifest(made.reference) == made
    ctx.store.remove_object(made.objects[0].hash)
    told = f"{made.reference}: expected finished work .* run again, what is gone is made anew"
    with pytest.raises(StoreError, match=told):
        ctx.manifest(made.reference)
