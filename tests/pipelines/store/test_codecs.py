"""Every row survives the file, equal rows give equal bytes, and nothing else is let in."""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.errors import StoreError
from roundsmith.hashing import content_hash
from roundsmith.store import (
    DROPPED,
    EVALS,
    EXAMPLES,
    GROUPS,
    PAIRS,
    RESULTS,
    TASKS,
    DroppedRow,
    EvalRecord,
    RowKind,
    read_file,
    write_file,
)
from roundsmith.store.values import text_value, value_text
from roundsmith.types import Example, Group, JudgedAt, Outcome, Provenance, Score, Split, Task
from roundsmith.verdicts import Verdict
from tests.pipelines.recipes.groups import code, group
from tests.pipelines.store import strategies as rows
from tests.pipelines.store.description import columns, with_nested
from tests.pipelines.store.earlier import groups_of_version_3, of_version_2
from tests.pipelines.store.test_formats import FINGERPRINTS

BY_KIND = [
    pytest.param(TASKS, rows.tasks, id="task"),
    pytest.param(GROUPS, rows.groups, id="group"),
    pytest.param(EXAMPLES, rows.examples, id="example"),
    pytest.param(PAIRS, rows.pairs, id="pair"),
    pytest.param(EVALS, rows.records, id="eval"),
    pytest.param(RESULTS, rows.results, id="result"),
    pytest.param(DROPPED, rows.dropped, id="dropped"),
]


@pytest.mark.parametrize(("kind", "strategy"), BY_KIND)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_rows_come_back_as_they_were_and_equal_rows_give_equal_bytes(
    kind: RowKind[Any], strategy: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    written = data.draw(st.lists(strategy, max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder, "one.parquet"), Path(folder, "two.parquet")
        assert write_file(kind, one, written) == len(written)
        read = list(read_file(kind, one))
        write_file(kind, two, read)
        assert read == written
        assert one.read_bytes() == two.read_bytes()


def test_what_rows_say_again_and_again_is_held_once(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    write_file(DROPPED, file, (DroppedRow(f"row {n}", "a task", "", "", "") for n in range(9)))
    texts = [row.task_id for row in read_file(DROPPED, file)]
    assert texts == ["a task"] * 9
    assert len({id(text) for text in texts}) == 1


@given(rows.values)
def test_values_keep_their_exact_type_and_text(value: Any) -> None:
    text = value_text(value)
    back = text_value(text)
    assert value_text(back) == text
    assert type(back) is type(value)
    assert repr(back) == repr(value) or isinstance(value, set | frozenset | dict | tuple | list)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, '{"int":"0x1"}'),
        (-(2**70), '{"int":"-0x400000000000000000"}'),
        (1.0, '{"float":"1.0"}'),
        (-0.0, '{"float":"-0.0"}'),
        (float("nan"), '{"float":"nan"}'),
        (float("-inf"), '{"float":"-inf"}'),
        ("é\ud800", '"\\u00e9\\ud800"'),
        (b"\x00\xff", '{"bytes":"00ff"}'),
        ([1.5, (None,)], '[{"float":"1.5"},{"tuple":[null]}]'),
        ({"b", "a"}, '{"set":["a","b"]}'),
        (frozenset({True}), '{"frozenset":[true]}'),
        ({"z": 0, "a": []}, '{"dict":[["z",{"int":"0x0"}],["a",[]]]}'),
    ],
)
def test_the_text_of_a_value_is_fixed(value: Any, text: str) -> None:
    assert value_text(value) == text
    assert value_text(text_value(text)) == text


def test_integers_beyond_the_decimal_limit_of_python_are_kept() -> None:
    assert text_value(value_text(7**20000)) == 7**20000


@pytest.mark.parametrize("value", [object(), 1j, Split.TRAIN, range(3), [set, int]])
def test_a_value_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(StoreError, match="expected None, bool, int"):
        value_text(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(StoreError, match="nested at most 100"):
        value_text(endless)


def test_the_times_of_an_outcome_do_not_reach_the_file(tmp_path: Path) -> None:
    task = Task("t", Split.TRAIN, "d", "def f():", "f", ())
    outcome = Outcome("c", "t0", Verdict.PASS, JudgedAt.OUTSIDE, "T1", "i", cpu_s=0.25, wall_s=2.5)
    write_file(GROUPS, tmp_path / "timed", [Group(task, (), (outcome,))])
    write_file(GROUPS, tmp_path / "bare", [Group(task, (), (replace(outcome, cpu_s=0, wall_s=9),))])
    assert (tmp_path / "timed").read_bytes() == (tmp_path / "bare").read_bytes()
    (read,) = read_file(GROUPS, tmp_path / "timed")
    assert read.outcomes == (replace(outcome, cpu_s=0.0, wall_s=0.0),)


def example(number: int) -> Example:
    return Example(f"e{number}", f"prompt {number}", "done", Provenance("t", "rft", 0))


def test_more_rows_than_a_row_group_stay_in_order(tmp_path: Path) -> None:
    number = EXAMPLES.rows_per_group * 2 + 3
    write_file(EXAMPLES, tmp_path / "rows", (example(i) for i in range(number)))
    assert [row.example_id for row in read_file(EXAMPLES, tmp_path / "rows")] == [
        f"e{i}" for i in range(number)
    ]


def test_a_lone_surrogate_is_refused_with_its_rows_and_leaves_no_file(tmp_path: Path) -> None:
    bad = replace(example(1), completion="\ud800")
    with pytest.raises(StoreError, match="example rows 0 to 1: expected text of valid Unicode"):
        write_file(EXAMPLES, tmp_path / "rows", [example(0), bad])
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_file(EXAMPLES, tmp_path / "rows", [example(0)])
    with pytest.raises(StoreError, match="expected rows of kind pair, saw example"):
        next(read_file(PAIRS, tmp_path / "rows"))


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    write_file(replace(EXAMPLES, version=99), tmp_path / "rows", [example(0)])
    with pytest.raises(StoreError, match="expected example rows of schema version 2, saw 99"):
        next(read_file(EXAMPLES, tmp_path / "rows"))


def test_rows_of_an_evaluation_of_the_version_before_are_read_and_those_of_the_first_refused(
    tmp_path: Path,
) -> None:
    early, path = of_version_2(), tmp_path / "rows"
    fingerprint = content_hash({"eval": columns(early.schema)})
    assert fingerprint == FINGERPRINTS["eval"]["2"], "the columns that it had"
    bare = ("t", Split.GATE, "s", 0, True, False, ("t0",), (Verdict.PASS,), "pass", 3, 4)
    write_file(early, path, [EvalRecord(*bare, seed=7, weights_sha256="w", tier="T2", image="i")])
    assert list(read_file(EVALS, path)) == [EvalRecord(*bare)]
    assert EvalRecord(*bare).seed is None
    write_file(replace(early, version=1), path, [EvalRecord(*bare)])
    with pytest.raises(StoreError, match="expected eval rows of schema version 3, saw 1"):
        next(read_file(EVALS, path))


def test_groups_of_the_version_before_are_read_and_their_scores_tell_no_prompt(
    tmp_path: Path,
) -> None:
    early, path = groups_of_version_3(), tmp_path / "rows"
    nested = with_nested("group") | {"score": columns(early.schema.field("scores").type.value_type)}
    assert content_hash(nested) == FINGERPRINTS["group"]["3"], "the columns that it had"
    asked = Score(0.0, 0, "w" * 64, 0.5, prompt_tokens=85)
    drawn = replace(group((code("a", 0),), ()), scores={"a": asked})
    write_file(early, path, [drawn])
    (read,) = read_file(GROUPS, path)
    assert read == replace(drawn, scores={"a": replace(asked, prompt_tokens=0)})


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"half a file")
    with pytest.raises(StoreError, match="expected a Parquet file of example rows"):
        next(read_file(EXAMPLES, tmp_path / "rows"))


def test_bytes_do_not_depend_on_the_order_of_mappings(tmp_path: Path) -> None:
    task = Task("t", Split.TRAIN, "d", "h", "f", (), meta={"a": "1", "b": "2"})
    digests = []
    for meta in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}):
        write_file(TASKS, tmp_path / "rows", [replace(task, meta=meta)])
        digests.append(hashlib.sha256((tmp_path / "rows").read_bytes()).hexdigest())
    assert digests[0] == digests[1]
