"""Which checkpoint of a run counts: the last one that the gate let through and nobody took back."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from roundsmith.errors import ConfigError
from roundsmith.lineage.history import History
from roundsmith.lineage.place import summaries
from roundsmith.lineage.rounds import checkpoint_of, decision_of, report_told, run_of
from roundsmith.storage import read_file, replace_file
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


def rolled_back(run: str) -> frozenset[str]:
    """The weights that were taken back of a run, by its folder or URL. They are what was judged:
    the decision on them has another key as soon as more rounds are planned.
    """
    return frozenset(rollback.weights_sha256 for rollback in rollbacks(run))


def why_taken_back(run: str, weights_sha256: str | None) -> str | None:
    """The reason for which the promotion of a run's weights was taken back, which may be empty;
    None where it was not.
    """
    why = (taken.reason for taken in rollbacks(run) if taken.weights_sha256 == weights_sha256)
    return next(why, None)


def rollbacks(run: str) -> list[Rollback]:
    """All that was taken back, oldest first. ConfigError for a file of something else."""
    file = f"{run.rstrip('/')}/{FILE}"
    if (text := read_file(file)) is None:
        return []
    try:
        return [Rollback(**fields) for fields in json.loads(text)["rollbacks"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file}: expected what `roundsmith rollback` writes, saw {type(error).__name__}: "
            f"{error}: restore the file, or remove it to undo every rollback"
        ) from error


def is_promoted(history: History, decision: Manifest, taken_back: frozenset[str]) -> bool:
    """Whether a checkpoint is promoted and its weights were not taken back."""
    decided = checkpoint_of(history, decision)
    counts = decided is not None and decided.stats["weights_sha256"] not in taken_back
    return counts and bool(decision.stats["promoted"])


def current(history: History, run: str, without: str = "") -> Current:
    """The checkpoint of the last round that counts, else the model that the run began with; of no
    weights `without`, which are about to be taken back.

    The rounds are those of the run's folder or URL, whatever else its store holds. Raises
    ConfigError where they are not of one run.
    """
    taken_back = rolled_back(run) | {without}
    found, same = Current(0, ""), ""
    for number, summary in summaries(run).items():
        report = report_told(history, summary)
        same = _of_one_run(summary, same, run_of(history, report))
        if not found.weights_sha256:
            first = next(m for m in history.ancestors(report) if m.step == "model")
            found = Current(0, first.stats["weights_sha256"], "", first.reference)
        decision = decision_of(history, report)
        if decision is not None and is_promoted(history, decision, taken_back):
            training = checkpoint_of(history, decision)
            assert training is not None, "it is promoted"
            weights = training.stats["weights_sha256"]
            found = Current(number, weights, decision.reference, training.reference)
    return found


def _of_one_run(summary: str, run: str, seen: str) -> str:
    if run and run != seen:
        raise ConfigError(
            f"{summary}: expected a round of the same run as the round before it, saw one of other "
            "settings: let `roundsmith run` play it again with yours, or move its folder away"
        )
    return seen


def take_back(
    history: History,
    run: str,
    reason: str,
    serve: Callable[[Current], object] = lambda now: None,
) -> tuple[Rollback, Current]:
    """Take the last promotion back; what counts then, which is handed to `serve` before: where that
    fails nothing is taken back, so that who asks again goes no further back. Raises ConfigError
    when there is none.
    """
    last = current(history, run)
    if not last.decision:
        raise ConfigError(
            f"{run}: expected a promoted checkpoint to take back, saw none: nothing is served from "
            "this run but the model that it began with"
        )
    now = current(history, run, last.weights_sha256)
    serve(now)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    made = Rollback(last.decision, last.round, last.weights_sha256, reason, at)
    fields = [asdict(rollback) for rollback in (*rollbacks(run), made)]
    text = json.dumps({"schema_version": 1, "rollbacks": fields}, indent=1) + "\n"
    replace_file(f"{run.rstrip('/')}/{FILE}", text.encode())
    return made, now


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
    reports = [(m, run_of(history, m)) for m in history.of("report")]
    last: dict[str, int] = {}
    for report, run in reports:
        last[run] = max(last.get(run, 0), int(report.config["round"]))
    told = {m.hash for m, run in reports if m.config["round"] == last[run]}
    # A report rests on the whole of its round, and a round that was promoted is told by its own.
    for report, _ in reports:
        if {parent.hash for parent in history.parents(report)} & promoted:
            told.add(report.hash)
    return lambda manifest: manifest.hash in promoted | told
