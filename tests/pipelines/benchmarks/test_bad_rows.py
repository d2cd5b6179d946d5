"""Bad rows: each is found with its line, what was seen and what was expected."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roundsmith.benchmarks.load import load_tasks
from roundsmith.errors import ConfigError

GOOD: dict[str, Any] = {
    "id": "good",
    "description": "Add up numbers.",
    "signature": "def total(values)",
    "tests": ["assert total([1]) == 1"],
}
CALL = {"call": "total([1])", "expect": "1"}
STDIO = {"stdin": "1", "stdout": "1"}

BAD: list[tuple[dict[str, Any], str]] = [
    ({"id": None}, "id: saw None, expected a string"),
    ({"id": ""}, "id: saw '', expected a text that is not empty"),
    ({"id": "good"}, "id: saw 'good' again, first in row 1, expected ids that are unique"),
    ({"description": "  "}, "description: saw '  ', expected a text that is not empty"),
    ({"meta": {"prompt": "Add."}}, "meta.prompt: saw 'Add.', expected another name: this one is"),
    ({"meta": {"a": "b", "style": "x"}}, "meta.style: saw 'x', expected another name"),
    ({"tests": []}, "tests: saw [], expected at least one"),
    ({"tests": "assert total([1])"}, "tests: saw 'assert total([1])', expected a list"),
    ({"tests": ["assert total(("]}, "tests.0: saw '(' was never closed"),
    ({"tests": ["total([1])"]}, "expected an assert statement; without one any program passes"),
    ({"tests": ["assert 1 == 1"]}, "tests.0: saw 'assert 1 == 1', expected a use of total"),
    ({"tests": [{"call": "total([1])"}]}, "tests.0: saw the fields ['call'], expected assert, or"),
    (
        {"tests": [{"call": "sum([1])", "expect": "1"}]},
        "tests.0.call: saw 'sum([1])', expected one",
    ),
    (
        {"tests": [CALL | {"expect": "f(1)"}]},
        "tests.0.expect: saw 'f(1)', expected a Python literal",
    ),
    ({"tests": [CALL | {"call": "total(x)"}]}, "tests.0.call: saw 'x', expected a Python literal"),
    ({"tests": [CALL | {"call": "total(*[1])"}]}, "expected arguments written out, no * or **"),
    ({"tests": [CALL | {"tolerance": -1}]}, "tolerance: saw -1, expected Input should be greater"),
    ({"tests": [STDIO | {"tolerance": 1.0}]}, "tests.0: saw a tolerance with the rule lines"),
    (
        {"tests": [{"asert": "a"}]},
        "tests.0.asert: saw 'a', expected no such field: the fields are a",
    ),
    ({"tests": [5]}, "tests.0: saw 5, expected an object"),
    ({"tests": [STDIO | {"rule": "words"}]}, "tests.0.rule: saw 'words', expected Input should be"),
    ({"tests": [CALL | {"rule": "exact"}]}, "saw the fields ['call', 'expect', 'rule']"),
    ({"tests": [CALL | {"limits": {"cpu_s": 0}}]}, "limits.cpu_s: saw 0, expected Input should"),
    (
        {"tests": [CALL | {"limits": {"cpus": 1}}]},
        "limits.cpus: saw 1, expected no such field: the fields are cpu_s, f",
    ),
    ({"tests": [{"unittest": "total([1])"}]}, "expected a class of unittest.TestCase"),
    ({"tests": [{"unittest": "class T(X): pass"}]}, "expected a use of total"),
    ({"tests": [CALL, STDIO]}, "tests: saw stdin/stdout beside other kinds"),
    (
        {"signature": "total(values)"},
        "expected code that ends with a def line",
    ),
    ({"signature": "def total(values"}, "head: saw "),
    ({"signature": None}, "signature: saw neither signature, head nor reference"),
    ({"entry_point": "other"}, "entry_point: saw 'other', expected 'total', the last def"),
    ({"reference": "def total(values:"}, "expected Python 3 source"),
    (
        {"reference": "def other(x): pass"},
        "reference: saw functions ['other'], expected a top-level",
    ),
    ({"reference": "def total(x): pass"}, "saw parameters ['x'], expected those of the signature"),
    ({"signature": None, "reference": "x = 1"}, "entry_point: saw no entry_point, and a reference"),
    ({"setup": "import"}, "setup: saw invalid syntax"),
    ({"split": "test"}, "split: saw 'test', expected train, gate or final"),
    (
        {"tets": []},
        "tets: saw [], expected no such field: the fields are description, entry_point,",
    ),
    ({"meta": {"depth": 2}}, "meta.depth: saw 2, expected a string"),
]


def written(folder: Path, *lines: str) -> str:
    path = folder / "tasks.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_a_bad_row_is_said_with_its_place(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    row = {
        key: value for key, value in (GOOD | {"id": "bad"} | change).items() if value is not None
    }
    row |= {"id": None} if change == {"id": None} else {}
    source = written(tmp_path, json.dumps(GOOD), "", json.dumps(row))
    with pytest.raises(ConfigError) as refused:
        load_tasks(source)
    text = str(refused.value)
    assert text.startswith("1 bad task row(s):\n  tasks.jsonl:3: ")
    assert message in text
    assert "--skip-bad-rows" in text
    loaded = load_tasks(source, skip_bad_rows=True)
    assert [task.task_id for task in loaded.tasks] == ["good"]
    assert [(problem.line, problem.file) for problem in loaded.problems] == [(3, "tasks.jsonl")]
    assert message in str(loaded.problems[0])


def test_every_problem_of_a_row_is_said_at_once(tmp_path: Path) -> None:
    fields = {"descripton": "Add up.", "tests": [{"asert": "a"}, CALL | {"tolerance": -1}]}
    judge_nothing = {
        "reference": "def total(x): pass",
        "tests": ["total(", "total(1)", *GOOD["tests"]],
    }
    source = written(
        tmp_path,
        json.dumps({"id": "bad"} | fields),
        json.dumps(GOOD | {"signature": None} | judge_nothing),
    )
    with pytest.raises(ConfigError) as refused:
        load_tasks(source)
    first, *problems, _ = str(refused.value).splitlines()
    assert first == "2 bad task row(s):"
    assert [problem.partition(": saw")[0] for problem in problems] == [
        "  tasks.jsonl:1: description",
        "  tasks.jsonl:1: tests.0.asert",
        "  tasks.jsonl:1: tests.1.tolerance",
        "  tasks.jsonl:1: descripton",
        "  tasks.jsonl:2: tests.0",
        "  tasks.jsonl:2: tests.1",
    ]


@pytest.mark.parametrize("line", ["{'id': 1}", "[1]", '"text"', "{", "nul", "\udcff"])
def test_a_line_that_is_no_json_object_is_a_bad_row(tmp_path: Path, line: str) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(f"{json.dumps(GOOD)}\n{line}\n".encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"tasks\.jsonl:2: saw .*, expected (one|a) JSON object"):
        load_tasks(str(path))


def test_the_first_twenty_are_listed_and_the_rest_counted(tmp_path: Path) -> None:
    source = written(tmp_path, *["nothing"] * 25)
    with pytest.raises(ConfigError) as refused:
        load_tasks(source)
    lines = str(refused.value).splitlines()
    assert lines[0] == "25 bad task row(s):"
    assert lines[20].startswith("  tasks.jsonl:20: ")
    assert lines[21] == "  ... and 5 more"


def test_a_file_of_bad_rows_only_is_refused_even_when_they_may_be_skipped(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 bad task row"):
        load_tasks(written(tmp_path, "nothing"), skip_bad_rows=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = [
    "id",
    "description",
    "signature",
    "head",
    "reference",
    "tests",
    "setup",
    "code",
    "test_list",
]
ROWS = st.dictionaries(st.sampled_from([*NAMES, "task_id", "prompt", "entry_point"]), JSON)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.binary(max_size=60) | st.lists(ROWS | JSON, max_size=3).map(lambda r: json.dumps(r).encode())
)
def test_any_file_is_either_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzz"
    path.write_bytes(content)
    try:
        tasks = load_tasks(str(path), skip_bad_rows=True).tasks
    except ConfigError:
        return
    assert all(task.head and task.tests for task in tasks)
