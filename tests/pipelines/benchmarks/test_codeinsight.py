"""CodeInsight as its repository's folders and as JSONL, in problems of our own writing."""

import asyncio
import json
from pathlib import Path

import pytest

from roundsmith.benchmarks.load import load_tasks
from roundsmith.benchmarks.strength import strengths
from roundsmith.errors import ConfigError
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import Limits, Split

REFERENCE = "import numpy as np\n\ndef test(lst0):\n    return np.cumsum(lst0).tolist()\n"
TEST = "lst0 = [1, 2]\nexpected_result = [1, 3]\nresult = test(lst0)\nassert result == {}, 'no'\n"


def problem(folder: Path, *tests: str) -> None:
    (folder / "unit_tests").mkdir(parents=True)
    (folder / "nl.txt").write_text("running sum of the list lst0\n")
    (folder / "test_reference.py").write_text(REFERENCE)
    for at, test in enumerate(tests):
        (folder / "unit_tests" / f"test_{at}.py").write_text(test)


def test_problems_of_both_folders_are_read_and_their_references_pass(tmp_path: Path) -> None:
    problem(tmp_path / "train" / "3", TEST.format("expected_result"), "test([1])\n")
    problem(tmp_path / "test" / "10", TEST.format("expected_result"))
    loaded = load_tasks(str(tmp_path))
    train, final = loaded.tasks
    assert (train.task_id, final.task_id) == ("codeinsight/train/3", "codeinsight/test/10")
    assert train.split is not Split.FINAL
    assert final.split is Split.FINAL
    assert train.head == "import numpy as np\ndef test(lst0):"
    assert len(train.tests) == 1, "a unit test without an assert judges nothing"

    async def audited() -> list[str]:
        async with Pool(ExecutorSettings(slots=1)) as pool:
            if why := pool.capabilities().missing_profiles.get("scientific"):
                pytest.skip(why)
            return [s.broken for s in await strengths(loaded.tasks, pool, Limits())]

    assert asyncio.run(audited()) == ["", ""]


def test_rows_of_its_readme_are_read_too(tmp_path: Path) -> None:
    row = {
        "id": 4,
        "intent": "running sum",
        "code": REFERENCE,
        "unit_tests": [TEST.format("[1, 3]")],
    }
    path = tmp_path / "dataset.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (task,) = load_tasks(str(path)).tasks
    assert (task.task_id, task.entry_point) == ("codeinsight/4", "test")


def test_a_problem_that_anything_passes_is_refused(tmp_path: Path) -> None:
    problem(tmp_path / "test" / "0", "test([1])\n")
    with pytest.raises(ConfigError, match="unit_tests: saw no assert"):
        load_tasks(str(tmp_path))


def test_a_folder_without_problems_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="saw a folder without problems"):
        load_tasks(str(tmp_path))
