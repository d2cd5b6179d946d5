"""Finished runs side by side: settings that differ, checkpoints paired task by task, costs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.lineage.history import History
from roundsmith.lineage.meant import meant_run
from roundsmith.lineage.rounds import checkpoint_of, decision_of, report_told, round_folders
from roundsmith.report.dotted import flat
from roundsmith.report.summary import from_json
from roundsmith.statistics import Evaluation, PairedDifference, paired_difference
from roundsmith.steps.evaluate import counted
from roundsmith.store import Manifest, Store


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run's settings, what its last checkpoint did on a split, and what all its rounds took."""

    name: str
    settings: Mapping[str, Any]
    evaluation: Evaluation
    tokens: int
    """Sampled and scored for the rows."""
    executions: int
    """For the rows and the rewards, without those that only measure a choice."""
    measuring_executions: int
    """Those, such as dstc's on tests that no choice sees."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Beside:
    """A run against the first one, on the tasks that both looked at."""

    name: str
    difference: PairedDifference
    left_out: int


def read_run(folder: str, split: str) -> FinishedRun:
    """A run by its folder, or what `meant_run` takes for it. Raises ConfigError where there is none
    that is finished, or its last checkpoint was not looked at on the split.
    """
    path = meant_run(folder)
    folders = list(round_folders(path).values())
    summaries = [from_json(folder.read_bytes(), folder) for folder in folders]
    settings = settings_told(path / "run.json")
    store = Store(str(path / "store"))
    history = History(store)
    found = evaluation_told(history, report_told(history, folders[-1]), split)
    if found is None:
        raise ConfigError(
            f"{folder}: expected an evaluation of the last checkpoint on {split}, saw none: final "
            "is looked at when a run is over; finish it, or use --split gate"
        )
    measuring = measuring_executions(store, path)
    return FinishedRun(
        name=str(path),
        settings=settings,
        evaluation=counted(store, found),
        tokens=sum(s.result.tokens["sampled"] + s.result.tokens["scored"] for s in summaries),
        executions=sum(
            of.executions
            for s in summaries
            for step, of in s.cost.steps.items()
            if step in ("groups", "checkpoint")
        )
        - measuring,
        measuring_executions=measuring,
        seconds=sum(sum(s.cost.seconds.values()) for s in summaries),
    )


def settings_told(file: Path) -> Mapping[str, Any]:
    """What a run.json tells, by dotted names. Raises ConfigError for one that is damaged."""
    try:
        return flat(json.loads(file.read_bytes()))
    except (ValueError, AttributeError) as error:
        raise ConfigError(
            f"{file}: expected the settings that `roundsmith run` writes, saw "
            f"{type(error).__name__}: {error}: run it again with them, which writes the file"
        ) from error


def measuring_executions(store: Store, run: Path) -> int:
    """Executions of all rounds in a run's folder that only measured a choice."""
    history = History(store)
    reports = [report_told(history, summary) for summary in round_folders(run).values()]
    sampled = [m for report in reports for m in history.parents(report) if m.step == "sample"]
    return sum(int(m.stats.get("measuring_executions", 0)) for m in sampled)


def beside(first: FinishedRun, other: FinishedRun, k: int) -> Beside:
    """The second against the first, paired by task. Raises ConfigError where they share no task."""
    ids = [{count.task_id for count in run.evaluation.counts} for run in (first, other)]
    common = ids[0] & ids[1]
    if not common:
        raise ConfigError(
            f"{first.name} and {other.name}: expected tasks that both were looked at on, saw none: "
            "compare runs on the same tasks"
        )
    values = [run.evaluation.only(common).pass_at_k(k) for run in (first, other)]
    seed = int(first.settings["seed"])
    found = paired_difference(values[0], values[1], seed=seed)
    return Beside(other.name, found, len(ids[0] ^ ids[1]))


def differences(runs: Sequence[FinishedRun]) -> dict[str, list[Any]]:
    """The settings that are not the same in all runs, each with its value in every run; None where
    a run has no such setting.
    """
    names = sorted(set[str]().union(*(run.settings for run in runs)))
    values = {name: [run.settings.get(name) for run in runs] for name in names}
    return {name: of for name, of in values.items() if any(value != of[0] for value in of)}


def evaluation_told(history: History, report: Manifest, split: str) -> Manifest | None:
    """The evaluation of a reported round's checkpoint on a split of the run's own tasks: those of
    files that must not get worse are kept under a split, too.
    """
    decision = decision_of(history, report)
    checkpoint = None if decision is None else checkpoint_of(history, decision)
    for found in history.parents(report):
        if checkpoint is not None and found.step == "evaluate" and found.config["split"] == split:
            parents = history.parents(found)
            if checkpoint in parents and any(parent.step == "tasks" for parent in parents):
                return found
    return None
