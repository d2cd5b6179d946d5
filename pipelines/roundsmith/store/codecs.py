"""Rows as the nested columns of `schemas`; `reading` makes rows of columns. Plain Python: Arrow
does the rest.

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
from roundsmith.store.values import value_text
from roundsmith.types import (
    AssertTest,
    CallTest,
    ChatMessage,
    Example,
    Group,
    Outcome,
    Pair,
    Prompt,
    Provenance,
    Sample,
    Sampling,
    StdioTest,
    Task,
    Test,
    UnittestTest,
)

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


def _prompt_columns(prompt: Prompt) -> Columns:
    if isinstance(prompt, str):
        return {"text": prompt}
    messages = [_flat(message) for message in prompt if isinstance(message, ChatMessage)]
    return {"messages": messages} if messages else {"tokens": list(prompt)}


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


def _outcome_columns(outcome: Outcome) -> Columns:
    columns = _flat(outcome)
    del columns["cpu_s"], columns["wall_s"]
    return columns


def _with_prompt_columns(row: Sample | Example | Pair) -> Columns:
    return _flat(
        row, prompt=_prompt_columns(row.prompt), provenance=_provenance_columns(row.provenance)
    )


def example_columns(example: Example) -> Columns:
    """The columns of an example."""
    return _with_prompt_columns(example)


def pair_columns(pair: Pair) -> Columns:
    """The columns of a pair."""
    return _with_prompt_columns(pair)


def eval_columns(record: EvalRecord) -> Columns:
    """The columns of an evaluation record."""
    return _flat(record, tests=list(record.tests), verdicts=list(record.verdicts))


def result_columns(result: TaskResult) -> Columns:
    """The columns of a task's result."""
    return _flat(result)


def dropped_columns(dropped: DroppedRow) -> Columns:
    """The columns of a dropped row."""
    return _flat(dropped)
