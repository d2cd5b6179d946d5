"""A run whose files and store are at a URL is looked at, handed over and rolled back there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # ships no types
import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.config import child_environment
from roundsmith.errors import StoreError
from roundsmith.handover.checkpoint import export_checkpoint
from roundsmith.handover.round import finished_round
from roundsmith.hashing import file_sha256, weights_sha256
from roundsmith.report.summary import from_json
from roundsmith.store import EXAMPLES, Store
from roundsmith.store.exports import copy_round
from roundsmith.store.gc import collect, garbage
from roundsmith.store.leases import ROLLBACKS, Leases, taking_back
from tests.storages import REMOTE, storage_url


@pytest.fixture(params=REMOTE)
def root(request: pytest.FixtureRequest, original: Path, tmp_path: Path) -> str:
    """A storage root with the store and the files of the run `first`."""
    url = storage_url(request.param, tmp_path)
    system, path = fsspec.core.url_to_fs(url)
    for file in (original / "store").rglob("*"):
        if file.is_file():
            system.put_file(str(file), f"{path}/{file.relative_to(original).as_posix()}")
    copy_round(original / "round-1", f"{url}/runs/first/round-1")
    return url


def told(*words: str, code: int = 0) -> str:
    """What a command prints."""
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, (done.output, done.exception)
    error = done.exception  # one that the entry point would make a message of
    return done.output if error is None or isinstance(error, SystemExit) else str(error)


def rows_of(original: Path) -> list[str]:
    store = Store(str(original / "store"))
    return [r.example_id for m in store.manifests("select") for r in store.read_all(EXAMPLES, m)]


@pytest.mark.parametrize("last", ["", "/"])
def test_rows_and_checkpoint_are_exported_from_there(
    root: str, original: Path, tmp_path: Path, last: str
) -> None:
    run = f"{root}/runs/first{last}"
    for what in ("data", "checkpoint"):
        there, here = tmp_path / f"{what}-there", tmp_path / f"{what}-here"
        told("export", what, run, "--out", str(there))
        told("export", what, str(original), "--out", str(here))
        names = sorted(p.relative_to(here) for p in here.rglob("*") if p.is_file())
        assert names
        assert names == sorted(p.relative_to(there) for p in there.rglob("*") if p.is_file())
        for name in names:
            assert file_sha256(there / name) == file_sha256(here / name)
    of = from_json((original / "round-1/summary.json").read_text()).result
    assert weights_sha256(tmp_path / "checkpoint-there") == of.checkpoint_sha256


def test_a_row_is_traced_and_a_report_read_by_the_url_of_the_run(root: str, original: Path) -> None:
    run, row = f"{root}/runs/first", rows_of(original)[0]
    for at in (run, f"{root}/store", str(original)):
        found = json.loads(told("trace", row, "--run", at, "--json"))
        assert found["row"]["example_id"] == row
        assert found["uses"]["rows"]
    assert told("report", run) == told("report", f"{run}/round-1")


def differs(run: str) -> list[dict[str, str]]:
    """What `verify` says of a run's files; the hand-made decision can not be made again."""
    found = json.loads(told("verify", run, "--programs", "0", "--json", code=1))
    assert found["checked"]["exported files"] > 5
    return [p for p in found["problems"] if p["check"] in ("round folders", "exported files")]


def test_verify_looks_at_the_files_of_the_rounds_there_and_says_what_differs(root: str) -> None:
    run = f"{root}/runs/first"
    assert differs(run) == []
    system, path = fsspec.core.url_to_fs(f"{run}/round-1")
    system.pipe_file(f"{path}/report.html", b"<html>forged</html>")
    system.pipe_file(f"{path}/data/more.parquet", b"more")
    system.rm_file(f"{path}/checkpoint/config.json")
    problems = differs(run)
    assert [p["where"].removeprefix(f"{run}/") for p in problems] == [
        "round-1",
        "round-1/report.html",
        "round-1/checkpoint/config.json",
    ]
    assert problems[0]["seen"].endswith("saw data/more.parquet")
    assert problems[2]["seen"].endswith("saw no such file")


def test_a_rollback_is_kept_beside_the_rounds_and_counts(root: str, original: Path) -> None:
    run = f"{root}/runs/first"
    of = from_json((original / "round-1/summary.json").read_text()).result
    assert of.checkpoint_sha256 is not None
    said = told("rollback", run, "--reason", "a bad task")
    assert f"taken back: round 1, weights {of.checkpoint_sha256}" in said
    assert "counts now: the model that the run began with" in said
    system, path = fsspec.core.url_to_fs(run)
    (kept,) = json.loads(system.cat_file(f"{path}/rollbacks.json"))["rollbacks"]
    assert (kept["weights_sha256"], kept["reason"]) == (of.checkpoint_sha256, "a bad task")
    assert "expected a promoted checkpoint to take back, saw none" in told("rollback", run, code=1)


def test_of_two_rollbacks_at_once_one_is_told_of_the_other(root: str) -> None:
    run, rollbacks = f"{root}/runs/first", Leases(f"{root}/store", ROLLBACKS)
    with taking_back(f"{root}/store"):
        said = told("rollback", run, "--reason", "a bad task", code=1)
        assert "another `rollback` in this store goes on; nothing was taken back" in said
        (others,) = rollbacks.live(60)
        assert rollbacks.url(others) in said
    assert rollbacks.live(60) == []
    assert "taken back: round 1" in told("rollback", run, "--reason", "a bad task")


def test_a_chain_of_kubeflow_pipelines_is_not_rolled_back(root: str) -> None:
    system, path = fsspec.core.url_to_fs(root)
    system.pipe_file(f"{path}/chains/first/settings.json", b"{}")
    assert "saw a chain of Kubeflow Pipelines" in told("rollback", f"{root}/runs/first", code=1)
    assert not system.exists(f"{path}/runs/first/rollbacks.json")


@pytest.mark.parametrize("at", ["", "/runs", "/runs/second", "/stores"])
def test_a_url_where_neither_a_run_nor_a_store_is_does_not_pass_for_an_empty_one(
    root: str, tmp_path: Path, at: str
) -> None:
    if at == "":
        at = "/runs/first/round-1/data"
    for words in (
        ("trace", "0" * 64, "--run"),
        ("verify", "--programs", "0"),
        ("store", "gc"),
        ("rollback",),
        ("export", "data", "--out", str(tmp_path / "rows")),
    ):
        assert f"{root}{at}: expected" in told(*words, f"{root}{at}", code=1), words
    assert not (tmp_path / "rows").exists()


def test_a_round_that_is_removed_while_it_is_handed_over_is_an_error_and_leaves_nothing(
    root: str, tmp_path: Path
) -> None:
    run, store, out = f"{root}/runs/first", Store(f"{root}/store"), tmp_path / "out"
    before = finished_round(run, None)
    found = garbage(store, lambda manifest: False)
    for manifest in found.manifests:  # as far as a removal has come
        if manifest.step != "report":
            store.discard(manifest)
    for what in ("data", "checkpoint"):
        assert "saw some of it gone" in told("export", what, run, "--out", str(out), code=1)
    collect(store, found)
    with pytest.raises(StoreError, match="saw some of it gone"):
        export_checkpoint(before, out)
    told("export", "data", run, "--out", str(out), code=1)
    assert not out.exists()


def test_a_run_that_has_finished_nothing_is_not_said_to_be_verified(tmp_path: Path) -> None:
    Store(str(tmp_path / "store"))
    (tmp_path / "store/manifests").mkdir()
    assert "expected finished work to verify, saw none" in told("verify", str(tmp_path), code=1)


@pytest.mark.skipif("ROUNDSMITH_TEST_S3" not in os.environ, reason="needs an S3 bucket")
def test_a_person_at_the_command_line_reads_one_message(tmp_path: Path) -> None:
    url = f"{storage_url('s3', tmp_path)}/runs/nobody"
    done = subprocess.run(
        [sys.executable, "-m", "roundsmith.cli", "verify", url],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{url}: expected the URL of a store" in done.stderr
    assert "Traceback" not in done.stderr
