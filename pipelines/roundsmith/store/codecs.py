"""Rows as the nested columns of `schemas`, and back. Plain Python: Arrow does the rest.

An outcome's `cpu_s` and `wall_s` are not stored, because equal inputs must give equal bytes; they
read as 0.0.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.store.records import DroppedRow, EvalRecord, TaskResult
from roundsmith.store.values import text_value, value_text
from roundsmith.types import (
    AssertTest,
    CallTest,
    ChatMessage,
    Example,
    Group,
    JudgedAt,
    Kind,
    Outcome,
    OutputRule,
    OwnLimits,
    Pair,
    Phase,
    Prompt,
    Provenance,
    Sample,
    Sampling,
    Score,
    Split,
    StdioTest,
    Task,
    Test,
    UnittestTest,
)
from roundsmith.verdicts import Verdict

# A row as Arrow takes and gives it: column names to nested Python values.
Columns = dict[str, Any]


def _flat(value: Any, **changed: Any) -> Columns:
    """The fields of a dataclass by name, `changed` ones replaced; nothing is copied deeper."""
    names, read = _reader(type(value))
    return dict(zip(names, read(value), strict=True)) | changed


def _find_reader(cls: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The names of a dataclass's fields, of which it has more than one, and what reads them all."""
    names = tuple(field.name for field in fields(cls))
    return names, attrgetter(*names)


_reader: Callable[[type], tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]] = cache(
    _find_reader
)


def task_columns(task: Task) -> Columns:
    """The columns of a task."""
    return _flat(
        task, tests=[_test_columns(test) for test in task.tests], meta=sorted(task.meta.items())
    )


def columns_task(columns: Columns) -> Task:
    """The task of its columns."""
    tests = tuple(_columns_test(test) for test in columns["tests"])
    return Task(
        **columns
        | {"split": Split(columns["split"]), "tests": tests, "meta": dict(columns["meta"])}
    )


def _test_columns(test: Test) -> Columns:
    limits = None if test.limits is None else _flat(test.limits)
    around = {"test_id": test.test_id, "limits": limits}
    match test:
        case CallTest():
            texts = {name: value_text(getattr(test, name)) for name in ("args", "expected")}
            call = _flat(test, **texts, kwargs=value_text(dict(test.kwargs)))
            return around | {"call": _without(call, around)}
        case AssertTest():
            return around | {"source": test.source}
        case UnittestTest():
            return around | {"unittest": test.source}
        case StdioTest():
            return around | {"stdio": _without(_flat(test), around)}


def _without(columns: Columns, names: Columns) -> Columns:
    return {name: value for name, value in columns.items() if name not in names}


def _columns_test(columns: Columns) -> Test:
    test_id, limits = columns["test_id"], columns["limits"]
    limits = None if limits is None else OwnLimits(**limits)
    if (call := columns["call"]) is not None:
        values = {name: text_value(call[name]) for name in ("args", "kwargs", "expected")}
        return CallTest(test_id, **call | values, limits=limits)
    if columns["source"] is not None:
        return AssertTest(test_id, columns["source"], limits)
    if columns["unittest"] is not None:
        return UnittestTest(test_id, columns["unittest"], limits)
    stdio = columns["stdio"]
    return StdioTest(test_id, **stdio | {"rule": OutputRule(stdio["rule"])}, limits=limits)


def _prompt_columns(prompt: Prompt) -> Columns:
    if isinstance(prompt, str):
        return {"text": prompt}
    messages = [_flat(message) for message in prompt if isinstance(message, ChatMessage)]
    return {"messages": messages} if messages else {"tokens": list(prompt)}


def _columns_prompt(columns: Columns) -> Prompt:
    if columns["text"] is not None:
        return str(columns["text"])
    if columns["messages"] is not None:
        return tuple(ChatMessage(**message) for message in columns["messages"])
    return tuple(columns["tokens"])


def _provenance_columns(provenance: Provenance) -> Columns:
    sampling = provenance.sampling
    return _flat(
        provenance,
        sampling=None if sampling is None else _sampling_columns(sampling),
        parents=list(provenance.parents),
    )


def _sampling_columns(sampling: Sampling) -> Columns:
    """The columns of a sampling. ConfigError where it sets more than this version of rows keeps."""
    kept: Columns = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop": sampling.stop,
    }
    if Sampling(**kept) != sampling:
        raise ConfigError(
            f"sampling: expected only {', '.join(kept)}, which rows keep, saw {sampling}: "
            "leave the rest at its default in a recipe"
        )
    return kept | {"stop": list(sampling.stop)}


def _columns_provenance(columns: Columns) -> Provenance:
    sampling = columns["sampling"]
    if sampling is not None:
        sampling = Sampling(**sampling | {"stop": tuple(sampling["stop"])})
    return Provenance(**columns | {"sampling": sampling, "parents": tuple(columns["parents"])})


def group_columns(group: Group) -> Columns:
    """The columns of a group."""
    return {
        "task": task_columns(group.task),
        "samples": [_with_prompt_columns(sample) for sample in group.samples],
        "outcomes": [_outcome_columns(outcome) for outcome in group.outcomes],
        "scores": [
            {"item_id": name} | _flat(score) for name, score in sorted(group.scores.items())
        ],
    }


def columns_group(columns: Columns) -> Group:
    """The group of its columns."""
    scores = [dict(score) for score in columns["scores"]]
    return Group(
        task=columns_task(columns["task"]),
        samples=tuple(
            Sample(**_from_prompt_columns(s) | {"kind": Kind(s["kind"])})
            for s in columns["samples"]
        ),
        outcomes=tuple(_columns_outcome(outcome) for outcome in columns["outcomes"]),
        scores={score.pop("item_id"): Score(**score) for score in scores},
    )


def _outcome_columns(outcome: Outcome) -> Columns:
    columns = _flat(outcome)
    del columns["cpu_s"], columns["wall_s"]
    return columns


def _columns_outcome(columns: Columns) -> Outcome:
    return Outcome(
        **columns
        | {
            "verdict": Verdict(columns["verdict"]),
            "judge": JudgedAt(columns["judge"]),
            "phase": Phase(columns["phase"]),
        }
    )


def _with_prompt_columns(row: Sample | Example | Pair) -> Columns:
    return _flat(
        row, prompt=_prompt_columns(row.prompt), provenance=_provenance_columns(row.provenance)
    )


def _from_prompt_columns(columns: Columns) -> Columns:
    return columns | {
        "prompt": _columns_prompt(columns["prompt"]),
        "provenance": _columns_provenance(columns["provenance"]),
    }


def example_columns(example: Example) -> Columns:
    """The columns of an example."""
    return _with_prompt_columns(example)


def columns_example(columns: Columns) -> Example:
    """The example of its columns."""
    return Example(**_from_prompt_columns(columns))


def pair_columns(pair: Pair) -> Columns:
    """The columns of a pair."""
    return _with_prompt_columns(pair)


def columns_pair(columns: Columns) -> Pair:
    """The pair of its columns."""
    return Pair(**_from_prompt_columns(columns))


def eval_columns(record: EvalRecord) -> Columns:
    """The columns of an evaluation record."""
    return _flat(record, tests=list(record.tests), verdicts=list(record.verdicts))


def columns_eval(columns: Columns) -> EvalRecord:
    """The evaluation record of its columns."""
    verdicts = tuple(Verdict(verdict) for verdict in columns["verdicts"])
    read = {"split": Split(columns["split"]), "tests": tuple(columns["tests"])}
    return EvalRecord(**columns | read | {"verdicts": verdicts})


def result_columns(result: TaskResult) -> Columns:
    """The columns of a task's result."""
    return _flat(result)


def columns_result(columns: Columns) -> TaskResult:
    """The task's result of its columns."""
    return TaskResult(**columns | {"split": Split(columns["split"])})


def dropped_columns(dropped: DroppedRow) -> Columns:
    """The columns of a dropped row."""
    return _flat(dropped)


def columns_dropped(columns: Columns) -> DroppedRow:
    """The dropped row of its columns."""
    return DroppedRow(**columns)
