"""A user's own rows: each kind of test, each way of giving a head, every file format."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types
import pytest

from roundsmith.benchmarks.load import load_tasks
from roundsmith.benchmarks.scripts import runnable
from roundsmith.benchmarks.splits import hash_split
from roundsmith.errors import ConfigError
from roundsmith.recipes.prompts import code_prompt
from roundsmith.types import (
    AssertTest,
    CallTest,
    OutputRule,
    OwnLimits,
    Split,
    StdioTest,
    Task,
    UnittestTest,
)

ROW: dict[str, Any] = {
    "id": "total",
    "description": "Add up a list of numbers.",
    "signature": "def total(values: list[int]) -> int",
    "tests": [
        "assert total([1, 2]) == 3",
        {"assert": "assert total([]) == 0"},
        {"call": "total([0.1, 0.2])", "expect": "0.3", "tolerance": 1e-9},
        {"call": "total(values=[4])", "expect": "4"},
    ],
    "split": "gate",
    "licence": "MIT",
    "meta": {"origin": "by hand"},
}


SPLITS_OF_TWELVE = [
    "train",
    "train",
    "final",
    "train",
    "train",
    "final",
    "train",
    "final",
    "gate",
    "final",
    "final",
    "train",
]
TORN = bytearray(gzip.compress(b"{}" * 500 + bytes(range(256))))
TORN[30:40] = b"\xff" * 10
BROKEN = [b"PAR1 and no more", b"\x1f\x8bcut", b"[{}, ", bytes(TORN)]


def written(folder: Path, *rows: Any) -> str:
    path = folder / "tasks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def only(folder: Path, row: dict[str, Any]) -> Task:
    (task,) = load_tasks(written(folder, row)).tasks
    return task


def test_a_row_becomes_a_task_with_each_kind_of_test(tmp_path: Path) -> None:
    task = only(tmp_path, ROW)
    assert (task.task_id, task.split, task.entry_point) == ("total", Split.GATE, "total")
    assert task.head == "def total(values: list[int]) -> int:"
    assert task.tests == (
        AssertTest("t0", "assert total([1, 2]) == 3"),
        AssertTest("t1", "assert total([]) == 0"),
        CallTest("t2", "total", ([0.1, 0.2],), 0.3, {}, 1e-9),
        CallTest("t3", "total", (), 4, {"values": [4]}),
    )
    assert (task.licence, task.meta, task.source) == ("MIT", {"origin": "by hand"}, "own")


def test_calls_carry_values_that_json_has_no_word_for(tmp_path: Path) -> None:
    tests = [{"call": "total((1, 2), {3}, key=b'x', n=-1)", "expect": "{1: None, (2,): {4, 5}}"}]
    (test,) = only(tmp_path, ROW | {"tests": tests}).tests
    expected = {1: None, (2,): {4, 5}}
    assert test == CallTest("t0", "total", ((1, 2), {3}), expected, {"key": b"x", "n": -1})


def test_a_head_may_bring_imports_and_helpers(tmp_path: Path) -> None:
    head = "import math\n\ndef half(x):\n    return x / 2\n\ndef total(values):"
    row = {key: value for key, value in ROW.items() if key != "signature"} | {"head": head}
    task = only(tmp_path, row)
    assert (task.head, task.entry_point) == (head, "total")


def test_the_head_comes_from_the_reference_when_none_is_given(tmp_path: Path) -> None:
    row = {key: value for key, value in ROW.items() if key != "signature"}
    task = only(tmp_path, row | {"reference": "def total(values):\n\treturn sum(values)\n"})
    assert task.head == "def total(values):"
    assert task.reference == "def total(values):\n    return sum(values)\n"


def test_a_given_signature_replaces_the_references(tmp_path: Path) -> None:
    task = only(tmp_path, ROW | {"reference": "def total(values):\n    return sum(values)\n"})
    assert task.reference == "def total(values: list[int]) -> int:\n    return sum(values)\n"


def test_a_script_needs_no_signature_and_is_started_by_its_call(tmp_path: Path) -> None:
    row = {
        "id": 7,
        "description": "Print twice the number that is read.",
        "tests": [{"stdin": "4\n", "stdout": "8\n"}],
        "reference": "def main():\n    print(2 * int(input()))\n",
    }
    task = only(tmp_path, row)
    assert task.task_id == "7"
    assert task.tests == (StdioTest("t0", "4\n", "8\n"),)
    assert task.head == "def main() -> None:"
    assert task.reference == "def main() -> None:\n    print(2 * int(input()))\n\nmain()\n"
    body = code_prompt(task, task.description) + "    print(1)\n"
    assert runnable(task, body).endswith("print(1)\n\nmain()\n")
    assert runnable(task, runnable(task, body)) == runnable(task, body)
    assert runnable(task, "def main(:") == "def main(:"


@pytest.mark.parametrize(
    ("rest", "starts_it"),
    [
        ("if __name__ == '__main__':\n    main()\n", True),
        ("import threading\nthreading.Thread(target=main).start()\n", True),
        ("def run():\n    main()\nrun()\n", True),
        ("def start():\n    return run\ndef run():\n    main()\nstart()()\n", True),
        ("def run():\n    main()\n", False),
        ("domain = 3\n", False),
    ],
)
def test_a_script_that_starts_itself_is_not_started_again(
    tmp_path: Path, rest: str, starts_it: bool
) -> None:
    tests = [{"stdin": "4\n", "stdout": "8\n"}]
    task = only(tmp_path, {"id": 7, "description": "Print twice the number.", "tests": tests})
    program = f"def main():\n    print(2 * int(input()))\n{rest}"
    assert (runnable(task, program) == program) is starts_it


def test_tests_say_how_they_are_judged_and_what_they_may_use(tmp_path: Path) -> None:
    classes = "import unittest\nclass T(unittest.TestCase):\n    def test(self): total([])\n"
    limits = {"cpu_s": 9.5, "processes": 2}
    tests = [
        {"call": "total([])", "expect": "0.0", "relative_tolerance": 1e-6, "limits": limits},
        {"unittest": classes},
    ]
    call, cases = only(tmp_path, ROW | {"tests": tests}).tests
    own = OwnLimits(cpu_s=9.5, processes=2)
    assert call == CallTest("t0", "total", ([],), 0.0, relative_tolerance=1e-6, limits=own)
    assert cases == UnittestTest("t1", classes)
    script = {"stdin": "", "stdout": "0.5", "rule": "tokens", "tolerance": 0.1}
    row = {key: value for key, value in ROW.items() if key != "signature"}
    (stdio,) = only(tmp_path, row | {"tests": [script]}).tests
    assert stdio == StdioTest("t0", "", "0.5", OutputRule.TOKENS, 0.1)


def test_a_function_is_run_as_it_is(tmp_path: Path) -> None:
    assert runnable(only(tmp_path, ROW), "def total(values): ...") == "def total(values): ..."


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "json", "json.gz", "parquet"])
def test_every_format_gives_the_same_tasks(tmp_path: Path, kind: str) -> None:
    rows = [ROW | {"tests": ROW["tests"][1:]}, ROW | {"id": "again", "tests": ROW["tests"][1:]}]
    expected = load_tasks(written(tmp_path, *rows)).tasks
    path = tmp_path / "named_anything"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        lines = "\n".join(json.dumps(row) for row in rows)
        text = json.dumps(rows) if kind.startswith("json.") or kind == "json" else lines
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode())
    assert load_tasks(str(path)).tasks == expected


@pytest.mark.parametrize("whole", [False, True])
def test_a_byte_order_mark_does_not_matter(tmp_path: Path, whole: bool) -> None:
    path = tmp_path / "tasks"
    path.write_text(json.dumps([ROW] if whole else ROW), encoding="utf-8-sig")
    assert [task.task_id for task in load_tasks(str(path)).tasks] == ["total"]


def test_the_hash_is_of_the_files_content(tmp_path: Path) -> None:
    first = load_tasks(written(tmp_path, ROW)).source_hash
    assert first == load_tasks(written(tmp_path, ROW)).source_hash
    assert first != load_tasks(written(tmp_path, ROW | {"licence": ""})).source_hash


def test_rows_without_a_split_get_one_by_their_id_in_stated_shares(tmp_path: Path) -> None:
    row = {key: value for key, value in ROW.items() if key != "split"}
    loaded = load_tasks(written(tmp_path, row, row | {"id": "other", "split": "final"}))
    assert [task.split for task in loaded.tasks] == [hash_split("total"), Split.FINAL]
    shares = Counter(hash_split(f"task-{i}") for i in range(20_000))
    assert shares[Split.TRAIN] / 20_000 == pytest.approx(0.70, abs=0.015)
    assert shares[Split.GATE] / 20_000 == pytest.approx(0.15, abs=0.015)


def test_the_split_of_an_id_never_changes() -> None:
    splits = [str(hash_split(f"task-{i}")) for i in range(12)]
    assert splits == SPLITS_OF_TWELVE


def test_tasks_are_found_by_split(tmp_path: Path) -> None:
    loaded = load_tasks(written(tmp_path, ROW, ROW | {"id": "b", "split": "train"}))
    assert [task.task_id for task in loaded.of(Split.TRAIN)] == ["b"]


def test_a_file_that_is_not_there_is_said_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="saw no such file, expected one of rows"):
        load_tasks(str(tmp_path / "none.jsonl"))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"[]"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="no rows"):
        load_tasks(str(path))


@pytest.mark.parametrize("content", BROKEN)
def test_a_file_that_is_broken_as_a_whole_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="expected"):
        load_tasks(str(path), skip_bad_rows=True)
