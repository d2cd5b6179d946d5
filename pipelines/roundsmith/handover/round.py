"""A finished round, looked up by the folder or URL that it was exported to."""

from dataclasses import dataclass
from pathlib import Path

from roundsmith.errors import ConfigError, StoreError
from roundsmith.lineage.history import ROW_STEPS, History
from roundsmith.lineage.meant import named, near_runs
from roundsmith.lineage.place import is_url, refuse_nothing, store_of, summaries
from roundsmith.lineage.rounds import report_told, result_told
from roundsmith.models.licence import known_licence
from roundsmith.report.summary import Result
from roundsmith.store import Manifest, Store


@dataclass(frozen=True, slots=True)
class Taught:
    """What a round's training did, all of its stages."""

    round: int | None
    """None where no report is left that names it."""
    rows: Manifest
    num_rows: int
    """That were not too long for it."""
    steps: int


@dataclass(frozen=True, slots=True)
class FinishedRound:
    """What a round made, and its result."""

    store: Store
    result: Result
    rows: Manifest
    checkpoint: Manifest
    first_model: Manifest
    code_version: str
    taught: tuple[Taught, ...]
    """The trainings that the checkpoint rests on, the last one, which is the round's, at the end:
    a round goes on from the checkpoint that was promoted before.
    """

    @property
    def model_licence(self) -> str:
        """Of the model that the run began with; empty where it is not known."""
        return known_licence(self.first_model.stats.get("licence"))


def finished_round(run: str, number: int | None) -> FinishedRound:
    """A round of a run's folder or URL; by default its last. Raises ConfigError where there is
    none, StoreError where the store has it no more.
    """
    found = summaries(run)
    if number is not None:
        found = {one: path for one, path in found.items() if one == number}
    if not found:
        raise _unfinished(run, "a finished round" if number is None else f"round {number}")
    summary = found[max(found)]
    if (store := store_of(run)) is None:
        raise refuse_nothing(run)
    history = History(Store(store))
    return _of_report(history, report_told(history, summary), summary)


def _unfinished(run: str, wanted: str) -> ConfigError:
    if is_url(run):
        return ConfigError(
            f"{run}: expected the URL of a run with {wanted}, saw none: give STORAGE/runs/NAME "
            "of a run on a cluster, when its round is over"
        )
    near = near_runs(Path(run))
    return ConfigError(
        f"{run}: expected the folder of a run with {wanted}, saw none: give the --out of a run "
        f"that is over{f'; {named(near)}' if near else ''}"
    )


def _of_report(history: History, report: Manifest, summary: str) -> FinishedRound:
    parents = history.parents(report)
    result = result_told(summary)
    weights = result.checkpoint_sha256
    trained = [m for m in parents if m.step == "train" and m.stats["weights_sha256"] == weights]
    models = [m for m in history.ancestors(report) if m.step == "model"]
    chosen = [m for m in parents if m.step == "select"]
    if not (trained and models and chosen):
        raise StoreError(
            f"{summary}: expected what the round made in {history.store.url}, saw some of it gone: "
            "a `store gc` took it, or does so now; only a run makes it again"
        )
    return FinishedRound(
        store=history.store,
        result=result,
        rows=chosen[0],
        checkpoint=trained[0],
        first_model=models[-1],
        code_version=report.code_version,
        taught=taught(history, trained[0]),
    )


def taught(history: History, checkpoint: Manifest) -> tuple[Taught, ...]:
    """The trainings between the model that a run began with and a checkpoint, in their order, each
    with all of its stages. One whose rows are gone from the store is left out, which
    `refuse_untold` finds.
    """
    found: list[Taught] = []
    last: Manifest | None = checkpoint
    while last is not None:
        rows = next((m for m in history.parents(last) if m.step in ROW_STEPS), None)
        stage, steps = last, int(last.stats["steps"])
        while (base := _base(history, stage)) is not None and stage.config.get("number"):
            stage, steps = base, steps + int(base.stats["steps"])
        if rows is not None:
            found.insert(0, Taught(history.round_of(last), rows, int(last.stats["rows"]), steps))
        last = base
    return tuple(found)


def refuse_untold(of: FinishedRound) -> None:
    """Raises StoreError where something of a training that the checkpoint rests on is gone: its
    card would tell neither of those rows nor of their licences.
    """
    history = History(of.store)
    training: Manifest | None = of.checkpoint
    while training is not None:
        if len(history.parents(training)) < len(training.parents):
            raise StoreError(
                f"{training.reference}: expected what it was made from in {of.store.url}, saw some "
                "of it gone, as what was damaged is: only a run makes it again"
            )
        training = _base(history, training)


def _base(history: History, training: Manifest) -> Manifest | None:
    """The training that one began with; None where it began with the first model."""
    return next((m for m in history.parents(training) if m.step == "train"), None)
