"""A finished round as files of a folder: written, and its summary read again."""

import logging
import shutil
from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.report.summary import Result, Summary, from_json
from roundsmith.round import RoundRefs
from roundsmith.steps.context import Context
from roundsmith.storage import read_file, storage_errors
from roundsmith.store import RESULTS
from roundsmith.store.root import sync

log = logging.getLogger(__name__)


def export(context: Context, refs: RoundRefs[str], folder: Path) -> Summary:
    """The round as files: data/*.parquet, checkpoint/, report.html and, written last, summary.json.

    What a folder held before of these is replaced, with a word where it was of another run; while
    summary.json is there, they belong to it.
    """
    store = context.store
    report = context.manifest(refs.report)
    texts = [store.get_blob(ref).decode() for ref in report.of_kind("blob")]
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    for name, ref in (("tasks", refs.tasks), ("groups", refs.scored), ("rows", refs.rows)):
        for number, part in enumerate(context.manifest(ref).objects):
            store.fetch(part, partial / "data" / f"{name}-{part.kind}-{number:04}.parquet")
    store.fetch(report.of_kind(RESULTS.name)[0], partial / "data" / "results.parquet")
    checkpoint = store.folder(context.manifest(refs.checkpoint).of_kind("folder")[0])
    store.fetch_folder(checkpoint, partial / "checkpoint")
    with storage_errors(str(folder)):
        (partial / "report.html").write_text(texts[1], "utf-8")
        (partial / "summary.json").write_text(texts[0], "utf-8")
        sync(partial / "summary.json")
    _tell_of_another(folder / "summary.json", from_json(texts[0]).result)
    with storage_errors(str(folder)):
        _replace(folder, partial)
    return from_json(texts[0])


def _replace(folder: Path, partial: Path) -> None:
    (folder / "summary.json").unlink(missing_ok=True)
    for name in ("data", "checkpoint"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("data", "checkpoint", "report.html", "summary.json"):
        (partial / name).replace(folder / name)
    partial.rmdir()


def _tell_of_another(path: Path, made: Result) -> None:
    """Warns where files of another recipe, model, seed or tasks are about to be replaced."""
    try:
        held = from_json(path.read_bytes(), path).result
    except (OSError, ConfigError):  # none, an earlier release's, or a damaged one
        return
    names = ("recipe", "model", "seed", "tasks")
    before, after = (", ".join(f"{n} {getattr(r, n)}" for n in names) for r in (held, made))
    if before != after:
        log.warning(
            "%s: held %s and now holds %s: what was made is in the store, and the same command "
            "brings it back; give each run an --out of its own",
            path.parent,
            before,
            after,
        )


def read_summary(folder: str) -> Summary:
    """The summary of a round's folder or URL; raises ConfigError when there is none."""
    path = f"{folder.rstrip('/')}/summary.json"
    if (text := read_file(path)) is None:
        raise ConfigError(
            f"{path}: expected a finished round's summary, saw none: give the folder of a round, "
            "such as runs/lab/round-1"
        )
    return from_json(text, path)
