"""Which checkpoint of a run counts: the last one that the gate let through and nobody took back."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.lineage.history import History
from roundsmith.storage import replace_file
from roundsmith.store import Manifest

FILE = "rollbacks.json"


@dataclass(frozen=True, slots=True)
class Rollback:
    """A promotion that was taken back: the decision's reference, the round, and why."""

    decision: str
    round: int
    weights_sha256: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class Current:
    """The checkpoint that counts: of a round, or the model that the run began with (round 0)."""

    round: int
    weights_sha256: str
    decision: str = ""
    manifest: str = ""


def rolled_back(out: Path) -> frozenset[str]:
    """The decisions that were taken back in a run's folder."""
    return frozenset(rollback.decision for rollback in rollbacks(out))


def rollbacks(out: Path) -> list[Rollback]:
    """All that was taken back, oldest first. ConfigError for a file of something else."""
    file = out / FILE
    if not file.exists():
        return []
    try:
        return [Rollback(**fields) for fields in json.loads(file.read_text("utf-8"))["rollbacks"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file}: expected what `roundsmith rollback` writes, saw {error!r}: restore the file, "
            "or remove it to undo every rollback"
        ) from error


def is_promoted(decision: Manifest, taken_back: frozenset[str]) -> bool:
    """Whether a checkpoint is promoted and was not taken back."""
    return bool(decision.stats["promoted"]) and decision.reference not in taken_back


def current(history: History, out: Path) -> Current:
    """The checkpoint of the last round that counts, else the model that the run began with."""
    taken_back = rolled_back(out)
    found = Current(0, "")
    for report in sorted(history.of("report"), key=lambda m: int(m.config["round"])):
        parents = {parent.step: parent for parent in history.parents(report)}
        decision, training = parents.get("decide"), _of_round(history, report)
        if found.round == 0 and not found.weights_sha256 and report.config["round"] == 1:
            model = parents["model"]
            found = Current(0, model.stats["weights_sha256"], "", model.reference)
        if decision is not None and training is not None and is_promoted(decision, taken_back):
            found = Current(
                int(report.config["round"]),
                training.stats["weights_sha256"],
                decision.reference,
                training.reference,
            )
    return found


def take_back(history: History, out: Path, reason: str) -> tuple[Rollback, Current]:
    """Take the last promotion back; what counts then. Raises ConfigError when there is none."""
    last = current(history, out)
    if not last.decision:
        raise ConfigError(
            f"{out}: expected a promoted checkpoint to take back, saw none: nothing is served from "
            "this run but the model that it began with"
        )
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    made = Rollback(last.decision, last.round, last.weights_sha256, reason, at)
    fields = [asdict(rollback) for rollback in (*rollbacks(out), made)]
    text = json.dumps({"schema_version": 1, "rollbacks": fields}, indent=1) + "\n"
    replace_file(str(out / FILE), text.encode())
    return made, current(history, out)


def _of_round(history: History, report: Manifest) -> Manifest | None:
    """The checkpoint that a round's gate decided on."""
    decision = next((m for m in history.parents(report) if m.step == "decide"), None)
    if decision is None:
        return None
    by_hash = {m.hash: m for m in history.of("evaluate")}
    after = by_hash.get(decision.parents[1])
    return (
        None
        if after is None
        else next((m for m in history.parents(after) if m.step in ("train", "model")), None)
    )


def keeps(history: History) -> Callable[[Manifest], bool]:
    """Says of finished work whether it must stay by itself: every promoted decision with its
    checkpoint, rolled back or not, and the reports of the last round of each run in the store.
    """
    decisions = [m for m in history.of("decide") if m.stats["promoted"]]
    promoted = {d.hash for d in decisions} | {
        training.hash
        for d in decisions
        for after in history.parents(d)[1:2]
        for training in history.parents(after)
        if training.step == "train"
    }
    reports = history.of("report")
    last = max((int(m.config["round"]) for m in reports), default=0)
    told = {m.hash for m in reports if m.config["round"] == last}
    # A report rests on the whole of its round, and a round that was promoted is told by its own.
    for report in reports:
        if {parent.hash for parent in history.parents(report)} & promoted:
            told.add(report.hash)
    return lambda manifest: manifest.hash in promoted | told
