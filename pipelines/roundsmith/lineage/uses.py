"""Forward: which rows and checkpoints something went into."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from roundsmith.lineage.find import ROW_KINDS, Found, FoundRow, FoundSample, FoundTask, FoundWork
from roundsmith.lineage.history import ROW_STEPS, History
from roundsmith.lineage.shown import Shown, shown_in
from roundsmith.recipes.identities import row_id
from roundsmith.store import Manifest
from roundsmith.types import Group


@dataclass(frozen=True, slots=True)
class UsedRow:
    """A training row that rests on it, as often as the training saw it in one epoch."""

    row_id: str
    made_by: str
    times: int


@dataclass(frozen=True, slots=True)
class UsedCheckpoint:
    """A checkpoint whose training saw such a row (`direct`), or that rests on one whose did: began
    with it, or saw rows that it wrote.
    """

    weights_sha256: str
    made_by: str
    round: int | None
    """None for one that no report names, as a stage before the last."""
    direct: bool
    promoted: bool | None
    """None where the gate was not asked."""
    taken_back: bool = False
    """Whether the promotion was taken back since."""


@dataclass(frozen=True, slots=True)
class Uses:
    """What something went into. A row longer than the stage's `max_length` is not trained on, and
    is told here nevertheless.
    """

    rows: tuple[UsedRow, ...] = ()
    checkpoints: tuple[UsedCheckpoint, ...] = ()
    shown: tuple[Shown, ...] = ()
    """Samples of other tasks that a task was an example for; what was made of those is not in
    `rows`, and a sample is followed by its own id.
    """


def uses(history: History, found: Found) -> Uses:
    """The rows and checkpoints that rest on it; nothing for a sample of an evaluation."""
    match found:
        case FoundRow(row):
            return _uses(history, lambda seen: seen["id"] == row_id(row))
        case FoundSample(sample, group):
            made = descendants(group, sample.sample_id)
            return _uses(history, lambda seen: not made.isdisjoint(seen["provenance"]["parents"]))
        case FoundTask(task):
            own = _uses(history, lambda seen: bool(seen["provenance"]["task_id"] == task.task_id))
            return replace(own, shown=shown_in(history, task))
        case FoundWork(manifest) if "weights_sha256" in manifest.stats:
            weights = manifest.stats["weights_sha256"]
            drawn = _uses(
                history, lambda seen: bool(seen["provenance"]["weights_sha256"] == weights)
            )
            return Uses(drawn.rows, _checkpoints(history, [manifest]))
        case FoundWork(manifest):
            after = _descending(history, manifest)
            return Uses((), _checkpoints(history, [m for m in after if m.step in ROW_STEPS]))
    return Uses()


def without(uses: Uses, taken_back: frozenset[str]) -> Uses:
    """The same, of which the promotions of some weights were taken back."""
    told = (
        replace(one, taken_back=bool(one.promoted) and one.weights_sha256 in taken_back)
        for one in uses.checkpoints
    )
    return replace(uses, checkpoints=tuple(told))


def descendants(group: Group, sample_id: str) -> set[str]:
    """A sample and those of its group that were made from it, however far."""
    found = {sample_id}
    for sample in sorted(group.samples, key=lambda sample: sample.step):
        if found & set(sample.provenance.parents):
            found.add(sample.sample_id)
    return found | {
        sample.sample_id for sample in group.samples if found & set(sample.provenance.parents)
    }


def _uses(history: History, wanted: Callable[[dict[str, Any]], bool]) -> Uses:
    times: dict[tuple[str, str], int] = {}
    makers: dict[str, Manifest] = {}
    for kind in ROW_KINDS:
        column = f"{kind.name}_id"
        asked = _asked(column, wanted)
        for manifest in history.of(*ROW_STEPS):
            for ref in manifest.of_kind(kind.name):
                for row in history.store.search_rows(kind, ref, [column, "provenance"], asked):
                    makers[manifest.hash] = manifest
                    at = (row_id(row), manifest.reference)
                    times[at] = times.get(at, 0) + 1
    rows = tuple(UsedRow(row, made_by, count) for (row, made_by), count in times.items())
    return Uses(rows, _checkpoints(history, makers.values()))


def _asked(
    column: str, wanted: Callable[[dict[str, Any]], bool]
) -> Callable[[dict[str, Any]], bool]:
    """`wanted`, with the row's id under the one name `id`."""
    return lambda row: wanted({"id": row[column], **row})


def _checkpoints(history: History, sources: Iterable[Manifest]) -> tuple[UsedCheckpoint, ...]:
    return tuple(
        _used(history, training, direct) for training, direct in history.checkpoints_of(sources)
    )


def _used(history: History, training: Manifest, direct: bool) -> UsedCheckpoint:
    decision = history.decision_on(training)
    return UsedCheckpoint(
        weights_sha256=training.stats["weights_sha256"],
        made_by=training.reference,
        round=history.round_of(training),
        direct=direct,
        promoted=None if decision is None else bool(decision.stats["promoted"]),
    )


def _descending(history: History, manifest: Manifest) -> list[Manifest]:
    found = {manifest.hash: manifest}
    waiting = [manifest]
    while waiting:
        for child in history.children(waiting.pop(0)):
            if child.hash not in found:
                found[child.hash] = child
                waiting.append(child)
    return list(found.values())
