"""The finished rounds of a run: their folders, what the store reports of them, and whose they are.

A store may hold rounds of several runs, such as of settings that were changed in one folder.
"""

from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.hashing import content_hash
from roundsmith.lineage.history import MODEL_STEPS, History
from roundsmith.lineage.place import sha256_at, summaries
from roundsmith.report.summary import Result, from_json
from roundsmith.storage import read_file
from roundsmith.store import Manifest


def round_folders(run: Path) -> dict[int, Path]:
    """The summaries of the finished rounds in a run's folder, by number, the first round first."""
    return {number: Path(path) for number, path in summaries(str(run)).items()}


def report_told(history: History, summary: Path | str) -> Manifest:
    """The report that a round's summary.json was written from, which may be at a URL. Raises
    ConfigError where the store has none.
    """
    told = sha256_at(str(summary))
    for report in history.of("report"):
        if any(ref.hash == told for ref in report.objects):
            return report
    raise ConfigError(
        f"{summary}: expected a summary that the store of this run wrote, saw another: run "
        "`roundsmith run` again, which writes it from the store"
    )


def result_told(summary: str) -> Result:
    """What a round's summary.json tells, which may be at a URL."""
    text = read_file(summary)
    if text is None:
        raise ConfigError(f"{summary}: expected a finished round's summary, saw none")
    return from_json(text, summary).result


def decision_of(history: History, report: Manifest) -> Manifest | None:
    """What the gate of a reported round said."""
    return next((m for m in history.parents(report) if m.step == "decide"), None)


def checkpoint_of(history: History, decision: Manifest) -> Manifest | None:
    """What a gate decided on: the model of its evaluation after the round."""
    evaluations = {m.hash: m for m in history.of("evaluate")}
    after = evaluations.get(decision.parents[1])
    parents = () if after is None else history.parents(after)
    return next((m for m in parents if m.step in MODEL_STEPS), None)


def run_of(history: History, report: Manifest) -> str:
    """The same for all rounds of a run, and another for another one: by its tasks, the model that
    it began with, and how it chose rows and trained on them; however many rounds were planned.
    """
    parents = {parent.step: parent for parent in history.parents(report)}
    first = sorted(m.hash for m in history.ancestors(report) if m.step == "model")
    decision, chosen = parents.get("decide"), parents.get("select")
    trained = None if decision is None else checkpoint_of(history, decision)
    how = {} if trained is None else {name: trained.config.get(name) for name in ("stage", "seed")}
    tasks = parents["tasks"].hash if "tasks" in parents else ""
    return content_hash("run", tasks, first, {} if chosen is None else dict(chosen.config), how)
