"""Backward: from a row, pair or sample to the prompt, the weights and the code that made it."""

from collections.abc import Sequence
from dataclasses import dataclass

from roundsmith.lineage.find import (
    SAMPLE_IDS,
    Found,
    FoundRecord,
    FoundRow,
    FoundSample,
    FoundTask,
    FoundWork,
    find,
)
from roundsmith.lineage.history import GROUP_STEPS, History
from roundsmith.lineage.uses import Uses, uses, without
from roundsmith.store import GROUPS, TASKS, EvalRecord, Manifest
from roundsmith.types import Group, Outcome, Row, Sample, Score, Task

KINDS = {
    FoundRow: "row",
    FoundSample: "sample",
    FoundTask: "task",
    FoundRecord: "evaluation sample",
    FoundWork: "work",
}


@dataclass(frozen=True, slots=True)
class TracedSample:
    """A sample with what the executor and the scorer said of it."""

    sample: Sample
    outcomes: tuple[Outcome, ...]
    score: Score | None
    made_by: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Where something comes from and what it went into. `samples` and `work` are nearest first."""

    name: str
    kind: str
    row: Row | None
    record: EvalRecord | None
    samples: tuple[TracedSample, ...]
    task: Task | None
    work: tuple[Manifest, ...]
    weights: tuple[Manifest, ...]
    """What made the weights that drew the samples."""
    uses: Uses


def trace(history: History, name: str, taken_back: frozenset[str] = frozenset()) -> Trace:
    """All that the store knows of what `name` names; see `find`. `taken_back` are the weights whose
    promotion the run took back, which the store does not know.
    """
    found = find(history, name)
    made_by = found.made_by
    group, samples = _samples(history, found)
    return Trace(
        name=name,
        kind=KINDS[type(found)],
        row=found.row if isinstance(found, FoundRow) else None,
        record=found.record if isinstance(found, FoundRecord) else None,
        samples=samples,
        task=group.task if group else _task(history, found),
        work=tuple(history.ancestors(made_by)),
        weights=_weights(history, found, samples),
        uses=without(uses(history, found), taken_back),
    )


def _samples(history: History, found: Found) -> tuple[Group | None, tuple[TracedSample, ...]]:
    """The group of what was found, and the samples that it rests on, nearest first."""
    match found:
        case FoundSample(sample, group, made_by):
            return group, _ancestry(group, [sample.sample_id], made_by)
        case FoundRow(row, made_by) if row.provenance.parents:
            if (at := _group_of(history, row, made_by)) is not None:
                group, groups_made_by = at
                return group, _ancestry(group, row.provenance.parents, groups_made_by)
    return None, ()


def _group_of(history: History, row: Row, made_by: Manifest) -> tuple[Group, Manifest] | None:
    """The group that a row was chosen from, among those that its step was given."""
    parents = set(row.provenance.parents)
    given = [m for m in history.ancestors(made_by) if m.step in GROUP_STEPS]
    for ref, manifest in history.objects(GROUPS.name, given):
        for group in history.store.search_rows(
            GROUPS,
            ref,
            [SAMPLE_IDS],
            lambda group: not parents.isdisjoint(s["sample_id"] for s in group["samples"]),
        ):
            return group, manifest
    return None


def _ancestry(group: Group, first: Sequence[str], made_by: Manifest) -> tuple[TracedSample, ...]:
    by_id = {sample.sample_id: sample for sample in group.samples}
    found: dict[str, Sample] = {}
    waiting = list(first)
    while waiting:
        sample = by_id.get(waiting.pop(0))
        if sample is not None and sample.sample_id not in found:
            found[sample.sample_id] = sample
            waiting += sample.provenance.parents
    return tuple(
        TracedSample(
            sample=sample,
            outcomes=tuple(o for o in group.outcomes if o.code_id == sample.sample_id),
            score=group.scores.get(sample.sample_id),
            made_by=made_by.reference,
        )
        for sample in found.values()
    )


def _task(history: History, found: Found) -> Task | None:
    match found:
        case FoundTask(task):
            return task
        case FoundRow(row):
            wanted = row.provenance.task_id
        case FoundRecord(record):
            wanted = record.task_id
        case _:
            return None
    for ref, _ in history.objects(TASKS.name, history.ancestors(found.made_by)):
        for task in history.store.search_rows(
            TASKS, ref, ["task_id"], lambda row: bool(row["task_id"] == wanted)
        ):
            return task
    return None


def _weights(
    history: History, found: Found, samples: Sequence[TracedSample]
) -> tuple[Manifest, ...]:
    names = dict.fromkeys(traced.sample.provenance.weights_sha256 for traced in samples)
    if isinstance(found, FoundRecord):
        names[found.record.weights_sha256] = None
    return tuple(m for name in names if (m := history.weights(name)) is not None)
