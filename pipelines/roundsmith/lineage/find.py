"""What a hash names: a row, a sample, a task, weights or a piece of finished work."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from roundsmith.errors import UnknownName
from roundsmith.lineage.history import GROUP_STEPS, MODEL_STEPS, ROW_STEPS, History
from roundsmith.recipes.identities import row_id
from roundsmith.store import EVALS, EXAMPLES, GROUPS, PAIRS, TASKS, EvalRecord, Manifest, RowKind
from roundsmith.types import Group, Row, Sample, Task

FEWEST_DIGITS = 8
ROW_KINDS: tuple[RowKind[Any], ...] = (EXAMPLES, PAIRS)
SAMPLE_IDS = "samples.list.element.sample_id"
"""The column of a group that holds the ids of its samples."""


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A training row."""

    row: Row
    made_by: Manifest


@dataclass(frozen=True, slots=True)
class FoundSample:
    """A sample in its group."""

    sample: Sample
    group: Group
    made_by: Manifest


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task of the run."""

    task: Task
    made_by: Manifest


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A sample of an evaluation."""

    record: EvalRecord
    made_by: Manifest


@dataclass(frozen=True, slots=True)
class FoundWork:
    """A finished step; of weights, the one that made them."""

    made_by: Manifest


Found = FoundRow | FoundSample | FoundTask | FoundRecord | FoundWork


def find(history: History, name: str) -> Found:
    """What `name` names: a task by its id, everything else by its hash or the first eight digits
    of it or more.

    Raises UnknownName when there is no such thing, or more than one.
    """
    found = _tasks(history, name)
    if not found and re.fullmatch(rf"[0-9a-f]{{{FEWEST_DIGITS},64}}", name):
        found = _by_hash(history, name)
    if len(found) == 1:
        return next(iter(found.values()))
    seen = "none" if not found else f"{len(found)}: {', '.join(sorted(found)[:4])}"
    raise UnknownName(
        f"{name!r}: expected the hash of a row, a sample, weights or a finished step "
        f"(its first {FEWEST_DIGITS} digits are enough), or the id of a task, saw {seen}: take one "
        f"from data/*.parquet, report.html or summary.json"
    )


def _by_hash(history: History, start: str) -> dict[str, Found]:
    """By id, what begins with these digits; the first kind that has any."""
    for kind in (_rows, _samples, _records, _work):
        if found := dict(kind(history, start)):
            return found
    return {}


def _rows(history: History, start: str) -> Iterator[tuple[str, Found]]:
    seen = set()  # a row is told of the step that has most to tell
    for kind in ROW_KINDS:
        column = f"{kind.name}_id"
        begins = _begins(column, start)
        for ref, manifest in history.objects(kind.name, history.of(*ROW_STEPS)):
            for row in history.store.search_rows(kind, ref, [column], begins):
                if row_id(row) not in seen:
                    seen.add(row_id(row))
                    yield row_id(row), FoundRow(row, manifest)


def _samples(history: History, start: str) -> Iterator[tuple[str, Found]]:
    def wanted(group: dict[str, Any]) -> bool:
        return any(sample["sample_id"].startswith(start) for sample in group["samples"])

    for step in GROUP_STEPS:  # the same samples are in several steps: the first has most to tell
        some = False
        for ref, manifest in history.objects(GROUPS.name, history.of(step)):
            for group in history.store.search_rows(GROUPS, ref, [SAMPLE_IDS], wanted):
                for sample in group.samples:
                    if sample.sample_id.startswith(start):
                        some = True
                        yield sample.sample_id, FoundSample(sample, group, manifest)
        if some:
            return


def _records(history: History, start: str) -> Iterator[tuple[str, Found]]:
    begins = _begins("sample_id", start)
    for ref, manifest in history.objects(EVALS.name, history.of("evaluate", "evaluate-shard")):
        for record in history.store.search_rows(EVALS, ref, ["sample_id"], begins):
            yield record.sample_id, FoundRecord(record, manifest)


def _begins(column: str, start: str) -> Callable[[dict[str, Any]], bool]:
    return lambda row: str(row[column]).startswith(start)


def _work(history: History, start: str) -> Iterator[tuple[str, Found]]:
    for manifest in history.of(*MODEL_STEPS):
        if manifest.stats["weights_sha256"].startswith(start):
            yield manifest.stats["weights_sha256"], FoundWork(manifest)
            return
    for manifest in history:
        names = (manifest.hash, manifest.key, *(ref.hash for ref in manifest.objects))
        if any(name.startswith(start) for name in names):
            yield manifest.reference, FoundWork(manifest)


def _tasks(history: History, name: str) -> dict[str, Found]:
    for ref, manifest in history.objects(TASKS.name, history.of("tasks")):
        found = history.store.search_rows(
            TASKS, ref, ["task_id"], lambda row: bool(row["task_id"] == name)
        )
        for task in found:
            return {task.task_id: FoundTask(task, manifest)}
    return {}
