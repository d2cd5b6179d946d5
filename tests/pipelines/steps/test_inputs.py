"""Tasks are refused before any model is loaded when a run could not go through with them."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.errors import ConfigError
from roundsmith.steps import run_step
from roundsmith.steps.inputs import AT_ONCE, _disjoint, tasks_of
from roundsmith.steps.rules import KeepConfig
from roundsmith.types import Split
from tests.pipelines.recipes.groups import TASK
from tests.pipelines.steps.contexts import context

REFERENCE = "def double(x: int) -> int:\n    return 2 * x  # {id}\n    return '{id}'\n"
"""Another program for every task, though each doubles."""


def task_file(folder: Path, splits: Mapping[str, int], reference: str | None = None) -> str:
    """A file with so many tasks of each split."""
    path = folder / "tasks.jsonl"
    rows = [
        {
            "id": f"{split}-{number}",
            "split": split,
            "description": f"Double the number, in way {number} of {split}.",
            "signature": "def double(x: int) -> int",
            "tests": ["assert double(1) == 2"],
        }
        | ({"reference": reference.format(id=f"{split}-{number}")} if reference else {})
        for split, count in splits.items()
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def load(folder: Path, tasks: str, split: str = "", **settings: Any) -> dict[Split, int]:
    """The number of tasks of each split that the step keeps."""
    ctx = context(folder, tasks=tasks, **settings)
    made = ctx.manifest(asyncio.run(run_step(ctx, "load_tasks", split=split)))
    return {split: len(list(tasks_of(ctx, made, split))) for split in Split}


def test_a_keep_file_that_is_not_there_is_told_with_the_tasks(tmp_path: Path) -> None:
    file = task_file(tmp_path, dict.fromkeys(Split, 6), REFERENCE)
    keep = (KeepConfig(tasks=file), KeepConfig(tasks=str(tmp_path / "nosuch.jsonl")))
    with pytest.raises(ConfigError, match=r"nosuch.jsonl: saw no such file"):
        load(tmp_path, file, keep=keep)
    load(tmp_path, file, keep=keep[:1])


@pytest.mark.parametrize("empty", list(Split))
def test_an_empty_split_is_named(tmp_path: Path, empty: Split) -> None:
    file = task_file(tmp_path, {split: 2 for split in Split if split is not empty}, REFERENCE)
    with pytest.raises(ConfigError, match=f"at least one of split {empty}, saw .*0 of {empty}"):
        load(tmp_path, file)


@pytest.mark.parametrize(
    ("gate", "rounds", "warned"), [(5, 1, True), (6, 1, False), (6, 2, True), (7, 2, False)]
)
def test_a_gate_too_small_to_promote_anything_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, gate: int, rounds: int, warned: bool
) -> None:
    file = task_file(tmp_path, {"train": 2, "gate": gate, "final": 1}, REFERENCE)
    load(tmp_path, file, rounds=rounds)
    assert (f"at least {gate + 1} gate tasks, saw {gate}" in caplog.text) == warned
    load(tmp_path, file, split="gate", rounds=rounds)
    assert caplog.text.count("no checkpoint can be promoted") == warned


def test_an_evaluation_needs_its_own_split_alone(tmp_path: Path) -> None:
    file = task_file(tmp_path, {"final": 3})
    assert load(tmp_path, file, split="final")[Split.FINAL] == 3
    with pytest.raises(ConfigError, match=r"at least one of split gate, .*: ask for --split final"):
        load(tmp_path, file, split="gate")


def test_a_control_without_a_reference_is_refused_and_left_out_it_is_not(tmp_path: Path) -> None:
    file = task_file(tmp_path, {"train": 2, "gate": 1, "final": 1})
    with pytest.raises(ConfigError, match=r"reference .* of the 2 training tasks.*--no-control"):
        load(tmp_path, file)
    assert load(tmp_path, file, control=False, recipe="rft")[Split.TRAIN] == 2
    with_reference = task_file(tmp_path, {"train": 2, "gate": 1, "final": 1}, REFERENCE)
    assert load(tmp_path, with_reference)[Split.TRAIN] == 2


RECIPE = """
from roundsmith.recipes.contract import Recipe
from roundsmith.recipes.stage import Stage

class Mine(Recipe):
    name = "mine"
    has_control = False
    {body}

RECIPE = Mine
"""


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ("needs_references = True", True),
        ("def stages(self): return Stage(part='selected'), Stage(part='gold')", True),
        ("own_writer = True", True),
        ("def stages(self): return (Stage(part='selected'),)", False),
    ],
)
@pytest.mark.parametrize("with_reference", [False, True])
def test_a_home_made_recipe_that_rests_on_references_is_refused_without_any_before_sampling(
    tmp_path: Path, body: str, refused: bool, with_reference: bool
) -> None:
    counts = {"train": 3, "gate": 1, "final": 1}
    file = task_file(tmp_path, counts, REFERENCE if with_reference else None)
    (tmp_path / "mine.py").write_text(RECIPE.format(body=body))
    words = ["run", "--dry-run", "--model", "lab", "--tasks", file, "--recipe", "mine"]
    words += ["--recipes", str(tmp_path / "mine.py"), "--no-control", "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(app, words)
    if not refused or with_reference:
        assert done.exit_code == 0, done.output
        return
    assert isinstance(done.exception, ConfigError)
    said = str(done.exception)
    assert "for some of the 3 training tasks, because recipe mine rests on them, saw none" in said
    assert said.endswith("give the rows a reference, or choose a recipe that does not")


def test_a_chain_without_another_tasks_reference_is_refused(tmp_path: Path) -> None:
    file = task_file(tmp_path, {"train": 3, "gate": 1, "final": 1}, REFERENCE)
    with pytest.raises(ConfigError, match=r"saw 1 training task .* at least two"):
        load(tmp_path, file, limit=1)
    bare = task_file(tmp_path, {"train": 3, "gate": 1, "final": 1})
    with pytest.raises(ConfigError, match=r"saw 0 training tasks .* at least two"):
        load(tmp_path, bare, control=False)
    assert load(tmp_path, file, limit=1, recipe="rft", control=False)[Split.TRAIN] == 1
    assert load(tmp_path, file, limit=1, split="final")[Split.FINAL] == 1


def test_a_training_task_that_repeats_a_held_out_one_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = Path(task_file(tmp_path, {"train": 3, "gate": 1, "final": 2}, REFERENCE))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0]["description"] = "Double the number in way 1 of FINAL!"
    rows[1]["reference"] = REFERENCE.format(id="gate-0").replace("double", "twice")
    rows[1]["signature"] = "def twice(x: int) -> int"
    rows[1]["tests"] = ["assert twice(1) == 2"]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ctx = context(tmp_path, tasks=str(file), recipe="rft", eval_limit=1)
    made = ctx.manifest(asyncio.run(run_step(ctx, "load_tasks")))
    assert [task.task_id for task in tasks_of(ctx, made, Split.TRAIN)] == ["train-2"]
    assert made.stats["repeats_of_held_out"] == ["train-0", "train-1"]
    assert made.stats["final"] == 1
    assert "left out 2 of 3 training tasks, because they repeat" in caplog.text
    assert ": train-0, train-1\n" in caplog.text


def test_of_many_repeats_a_few_are_named_and_the_manifest_has_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = Path(task_file(tmp_path, {"train": 12, "gate": 11, "final": 6}, REFERENCE))
    file.write_text(file.read_text().replace("of gate", "of train"))
    ctx = context(tmp_path, tasks=str(file), recipe="rft", control=False)
    made = ctx.manifest(asyncio.run(run_step(ctx, "load_tasks")))
    told = [f"train-{number}" for number in range(11)]
    assert made.stats["repeats_of_held_out"] == told
    assert "left out 11 of 12 training tasks, because they repeat" in caplog.text
    assert f": {', '.join(told[:5])} and 6 more" in caplog.text


def test_many_tasks_are_compared_in_parts_with_progress(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    ctx = replace(context(tmp_path), progress=lambda *said: told.append(said[:3]))
    held = replace(TASK, description="Held out.", reference=None)
    total = 2 * AT_ONCE + 1
    own = tuple(replace(held, task_id=f"{n}", description=f"Own {n}.") for n in range(total))
    last = replace(held, task_id="last")
    assert asyncio.run(_disjoint(ctx, (*own[1:], last), (held,))) == (("last",), own[1:])
    assert told == [("tasks", done, total) for done in (AT_ONCE, 2 * AT_ONCE, total)]
    told.clear()
    assert asyncio.run(_disjoint(ctx, own[:AT_ONCE], (held,))) == ((), own[:AT_ONCE])
    assert told == []


def test_tasks_are_told_from_repeats_without_a_look_at_each_of_these(tmp_path: Path) -> None:
    compared = 0

    class Id(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    held = replace(TASK, description="Held out.", reference=None)
    own = [replace(held, task_id=Id(f"own-{n}"), description=f"Own {n}.") for n in range(60)]
    repeats = [replace(held, task_id=Id(f"repeat-{n}")) for n in range(60)]
    told, kept = asyncio.run(_disjoint(context(tmp_path), (*own, *repeats), (held,)))
    assert (len(told), kept) == (60, tuple(own))
    assert compared <= 4 * 120, "a tuple of the repeats would be compared with 3600 times"


def test_training_tasks_that_all_repeat_held_out_ones_are_refused(tmp_path: Path) -> None:
    file = Path(task_file(tmp_path, {"train": 1, "gate": 1, "final": 1}, REFERENCE))
    file.write_text(file.read_text().replace("of train", "of gate"))
    with pytest.raises(ConfigError, match=r"saw all 1 repeat .* other tasks"):
        load(tmp_path, str(file), recipe="rft")
