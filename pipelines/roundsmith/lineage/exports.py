"""A round's folder against the store that it was exported from: every file against the very object
that its name stands for, and all finished work that the round rests on.
"""

from roundsmith.errors import RoundsmithError, StoreError
from roundsmith.lineage.history import History
from roundsmith.lineage.integrity import Findings
from roundsmith.lineage.place import files_below, sha256_at
from roundsmith.lineage.rounds import report_told, result_told
from roundsmith.store import RESULTS, Manifest

TEXTS = ("summary.json", "report.html")
DATA = {"tasks": "tasks", "score": "groups", "select": "rows"}
"""How the Parquet files of a round begin that hold the objects of a step."""


def check_round(folder: str, history: History, findings: Findings) -> None:
    """The files of a round's folder are those that its report names, none more and none less, and
    nothing that the report rests on is gone from the store. The folder may be at a URL.
    """
    try:
        report = report_told(history, f"{folder}/summary.json")
        result = result_told(f"{folder}/summary.json")
        lost = history.lost(report)
        for name in (manifest.reference for manifest in history.ancestors(report)):
            told = f"expected what it was made from, saw none with hash {lost.get(name)}"
            findings.expect("ancestors", name, told if name in lost else None)
        if lost:
            return  # what the files must be is not known
        wanted = _exported(history, report, str(result.checkpoint_sha256))
    except (RoundsmithError, OSError) as error:
        findings.expect("round folders", folder, str(error))
        return
    more = sorted(files_below(folder, ("data", "checkpoint")) - wanted.keys())
    wrong = f"expected the files of its round alone, saw {more[0]}" if more else None
    findings.expect("round folders", folder, wrong)
    for name, sha256 in wanted.items():
        seen = sha256_at(f"{folder}/{name}") or "no such file"
        wrong = None if seen == sha256 else f"expected sha256 {sha256}, saw {seen}"
        findings.expect("exported files", f"{folder}/{name}", wrong)


def _exported(history: History, report: Manifest, weights: str) -> dict[str, str]:
    """The hash of every file that `roundsmith run` writes of a reported round, by its name. Raises
    StoreError when the report lacks what one of them is made of.
    """
    parents = {m.step: m for m in history.parents(report)}
    trained = [
        m
        for m in history.parents(report)
        if m.step == "train" and m.stats["weights_sha256"] == weights
    ]
    blobs, results = report.of_kind("blob"), report.of_kind(RESULTS.name)
    if len(blobs) != len(TEXTS) or not results or not trained or not parents.keys() >= {*DATA}:
        raise StoreError(
            f"{report.reference}: expected a report with summary, page and results, made from "
            f"{', '.join(DATA)} and the training of its checkpoint, saw {len(blobs)} texts, "
            f"{len(results)} results and {', '.join(parents)}: run again, the round is made anew"
        )
    found = {name: blob.hash for name, blob in zip(TEXTS, blobs, strict=True)}
    found["data/results.parquet"] = results[0].hash
    for step, name in DATA.items():
        for number, ref in enumerate(parents[step].objects):
            found[f"data/{name}-{ref.kind}-{number:04}.parquet"] = ref.hash
    for name, file in history.store.files(trained[0].of_kind("folder")[0]):
        found[f"checkpoint/{name}"] = file.hash
    return found
