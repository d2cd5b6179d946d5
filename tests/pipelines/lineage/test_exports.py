"""A round's folder is what its run exported, and everything that it rests on is in the store."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from roundsmith.lineage.exports import check_round
from roundsmith.lineage.history import History
from roundsmith.lineage.integrity import Findings
from roundsmith.store import Store


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    """A copy of it to be tampered with."""
    return Path(shutil.copytree(original, tmp_path / "run"))


def checked(run: Path) -> Findings:
    findings = Findings()
    check_round(str(run / "round-1"), History(Store(str(run / "store"))), findings)
    return findings


def test_what_a_run_exports_is_right_file_by_file(run: Path) -> None:
    found = checked(run)
    assert found.problems == []
    files = [p for p in (run / "round-1").rglob("*") if p.is_file()]
    assert found.checked["exported files"] == len(files)
    assert found.checked["ancestors"] == 10  # the report and what it names


def lost(name: str) -> Callable[[Path], object]:
    """Removes a file or folder."""
    return lambda folder: (
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()
    )


def replaced(name: str, by: str) -> Callable[[Path], object]:
    """Puts one file of the round in the place of another."""
    return lambda folder: (folder / name).write_bytes((folder / by).read_bytes())


def added(folder: Path) -> None:
    """Puts a file among those of the round."""
    (folder / "data/rows-example-0009.parquet").touch()


def edited(folder: Path) -> None:
    """Changes a file of the checkpoint that holds no weights."""
    (folder / "checkpoint/generation_config.json").write_text("{}")


@pytest.mark.parametrize(
    ("tamper", "where", "seen"),
    [
        (replaced("report.html", "summary.json"), "report.html", "expected sha256"),
        (
            replaced("data/rows-pair-0001.parquet", "data/rows-example-0000.parquet"),
            "rows-pair-0001.parquet",
            "expected sha256",
        ),
        (lost("data"), "results.parquet", "no such file"),
        (lost("report.html"), "report.html", "no such file"),
        (lost("checkpoint"), "config.json", "no such file"),
        (added, "round-1", "saw data/rows-example-0009.parquet"),
        (edited, "generation_config.json", "expected sha256"),
        (replaced("summary.json", "report.html"), "round-1", "saw Expecting value"),
    ],
)
def test_a_file_that_is_not_the_one_of_its_name_is_found(
    run: Path, tamper: Callable[[Path], object], where: str, seen: str
) -> None:
    tamper(run / "round-1")
    problems = checked(run).problems
    assert any(p.where.endswith(where) and seen in p.seen for p in problems), problems


@pytest.mark.parametrize("step", ["model", "train", "decide", "tasks", "evaluate", "report"])
def test_finished_work_that_is_gone_from_under_a_round_is_found(run: Path, step: str) -> None:
    shutil.rmtree(run / "store/manifests" / step)
    assert checked(run).problems


def test_a_decision_with_another_outcome_and_a_hash_that_fits_is_found(run: Path) -> None:
    store = Store(str(run / "store"))
    (decision,) = store.manifests("decide")
    store.discard(decision)
    store.commit(replace(decision, stats={"promoted": not decision.stats["promoted"]}))
    (problem,) = checked(run).problems
    assert (problem.check, problem.where.partition("/")[0]) == ("ancestors", "report")
