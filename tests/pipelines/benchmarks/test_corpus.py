"""Instruction corpora in the usual formats, as training tasks."""

import json
from pathlib import Path
from typing import Any

import pytest

from roundsmith.benchmarks.corpus import load_corpus
from roundsmith.errors import ConfigError
from roundsmith.types import Split

ANSWER = "Here it is:\n```python\ndef f(x):\n    return x\n```\nIt returns x."


def written(folder: Path, *rows: Any) -> str:
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Return x.", "response": ANSWER},
        {"instruction": "Return x.", "input": "", "output": ANSWER},
        {"problem": "Return x.", "solution": ANSWER, "lang": "python"},
        {"prompt": "Return x.", "completion": ANSWER},
        {"query": "Return x.", "answer": ANSWER},
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Return x."},
                {"role": "assistant", "content": ANSWER},
            ]
        },
        {
            "conversations": [
                {"from": "human", "value": "Return x."},
                {"from": "gpt", "value": ANSWER},
                {"from": "human", "value": "Thanks."},
            ]
        },
    ],
    ids=lambda row: "+".join(row),
)
def test_a_row_of_each_format_is_an_instruction_with_its_answer(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    (task,) = load_corpus(written(tmp_path, row)).tasks
    assert (task.description, task.reference) == ("Return x.", ANSWER)
    assert (task.split, task.head, task.tests) == (Split.TRAIN, "", ())
    assert task.task_id == "corpus.jsonl/1"


def test_the_input_of_an_alpaca_row_is_part_of_the_instruction(tmp_path: Path) -> None:
    row = {"instruction": "Sort this.", "input": "[2, 1]", "output": "[1, 2]"}
    (task,) = load_corpus(written(tmp_path, row)).tasks
    assert task.description == "Sort this.\n\n[2, 1]"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "a"}, r"only the fields \['text'\], expected one of: instruction and response"),
        ({"instruction": "", "response": "a"}, "instruction: saw '', expected a text"),
        ({"instruction": "a", "response": 3}, "response: saw 3, expected a text"),
        ({"messages": [{"role": "user", "content": "a"}]}, "a user's and then an assistant's"),
        ({"messages": "hello"}, "messages: saw 'hello', expected a list of turns"),
    ],
)
def test_a_bad_row_is_told_by_line_and_field_and_may_be_left_out(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    good = {"instruction": "a", "response": "b"}
    with pytest.raises(ConfigError, match=rf"corpus.jsonl:2: .*{message}"):
        load_corpus(written(tmp_path, good, row))
    loaded = load_corpus(written(tmp_path, good, row, good), skip_bad_rows=True)
    assert len(loaded.tasks) == 2
    assert len(loaded.problems) == 1


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="saw no rows"):
        load_corpus(written(tmp_path))


def test_an_instruction_and_its_answer_that_are_both_empty_are_told_together(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_corpus(written(tmp_path, {"instruction": " ", "response": ""}))
    assert str(refused.value).startswith("1 bad corpus row(s):")
    assert "corpus.jsonl:1: instruction: saw ' '" in str(refused.value)
    assert "corpus.jsonl:1: response: saw ''" in str(refused.value)


def test_half_of_a_surrogate_pair_is_a_bad_row_that_can_be_left_out(tmp_path: Path) -> None:
    good, bad = {"query": "Return x.", "answer": ANSWER}, {"query": "\ud83d x.", "answer": ANSWER}
    file = written(tmp_path, good, bad)
    with pytest.raises(ConfigError, match=r"corpus.jsonl:2: saw .*, expected valid Unicode"):
        load_corpus(file)
    assert len(load_corpus(file, skip_bad_rows=True).tasks) == 1
    assert load_corpus(written(tmp_path, good | {"query": "\U0001f600"})).tasks[0].description


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_the_lines_of_a_corpus_end_as_those_that_a_model_writes(tmp_path: Path, end: str) -> None:
    row = {"instruction": f"Return x.{end}Nothing else.", "response": ANSWER.replace("\n", end)}
    (task,) = load_corpus(written(tmp_path, row)).tasks
    assert (task.description, task.reference) == ("Return x.\nNothing else.", ANSWER)
