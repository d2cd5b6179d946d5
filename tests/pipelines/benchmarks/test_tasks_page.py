"""docs/tasks.md says what is so: its rows load, its error is ours, its table is computed."""

import json
import re
from pathlib import Path

import pytest

from roundsmith.benchmarks.load import load_tasks
from roundsmith.benchmarks.own import OwnRow
from roundsmith.errors import ConfigError
from roundsmith.statistics import smallest_difference_of_solved
from roundsmith.types import Split

PAGE = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text()
ROWS = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)


def test_the_example_rows_load(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(ROWS))
    loaded = [task.task_id for task in load_tasks(str(path)).tasks]
    assert loaded == ["total", "spread", "negated", "double", "half"]


def test_the_error_is_the_one_that_is_shown(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    row = json.loads(ROWS[0])
    bad = {3: row | {"tests": ["assert 1 == 1"]}, 7: row | {"split": "test"}}
    lines = [json.dumps(bad.get(line, row | {"id": f"t{line}"})) for line in range(1, 9)]
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError) as refused:
        load_tasks(str(path))
    assert str(refused.value) == shown


def test_every_field_of_the_schema_is_documented() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(OwnRow.model_fields)


def test_the_detectable_gains_are_computed() -> None:
    table = re.findall(r"^\| (\d+) \| (.*?) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    assert len(table) == 8
    for tasks, *cells in table:
        for changed, cell in zip((0.1, 0.2, 0.3), cells, strict=True):
            d = smallest_difference_of_solved(int(tasks), changed)
            assert cell == ("none" if d is None else f"{100 * d:.1f} points")


def test_the_word_lab_gives_the_labs_tasks_of_all_splits() -> None:
    loaded = load_tasks("lab")
    assert {task.split for task in loaded.tasks} == set(Split)
    assert loaded.source_hash == load_tasks("lab").source_hash
    assert all(task.source == "roundsmith-lab" for task in loaded.tasks)
