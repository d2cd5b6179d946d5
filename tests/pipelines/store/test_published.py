"""What the store hands out as plain files: model folders for services, rounds for people."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import fsspec  # type: ignore[import-untyped]  # ships no types
import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]  # none

from roundsmith.commands.exported import read_summary
from roundsmith.config import child_environment
from roundsmith.errors import ConfigError, StoreError
from roundsmith.hashing import weights_sha256
from roundsmith.report.summary import to_json
from roundsmith.store import FolderRef, Store
from roundsmith.store.exports import copy_round
from tests.pipelines.report.rounds import SUMMARY
from tests.storages import EVERY, REMOTE, storage_url


@pytest.fixture(params=EVERY)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return storage_url(request.param, tmp_path)


@pytest.fixture(params=REMOTE)
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return storage_url(request.param, tmp_path)


def model_folder(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights" * 1000)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "note.md").write_text("kept too")
    return folder


def stored(url: str, tmp_path: Path) -> tuple[Store, FolderRef]:
    store = Store(f"{url}/store")
    return store, store.put_folder(model_folder(tmp_path / "model"))


def local_copy(url: str, target: Path) -> Path:
    """What is under a URL, as a folder."""
    system, path = fsspec.core.url_to_fs(url)
    system.invalidate_cache()
    for file in system.find(path):
        copy = target / file.removeprefix(path).lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(system.cat_file(file))
    return target


def written_at(url: str) -> dict[str, object]:
    system, path = fsspec.core.url_to_fs(url)
    return {file: system.modified(file) for file in system.find(path)}


def test_a_stored_folder_appears_as_the_plain_folder_it_was(url: str, tmp_path: Path) -> None:
    store, ref = stored(url, tmp_path)
    assert store.publish_folder(ref, f"{url}/checkpoints/one") == f"{url}/checkpoints/one"
    copy = local_copy(f"{url}/checkpoints/one", tmp_path / "copy")
    assert weights_sha256(copy) == ref.weights_sha256
    assert (copy / "sub" / "note.md").read_text() == "kept too"
    assert len(list(copy.rglob("*"))) == 4


def test_what_is_there_is_not_copied_again_and_what_is_cut_short_is(
    url: str, tmp_path: Path
) -> None:
    store, ref = stored(url, tmp_path)
    target = store.publish_folder(ref, f"{url}/checkpoints/one/")
    before = written_at(target)
    store.publish_folder(ref, target)
    assert written_at(target) == before
    system, path = fsspec.core.url_to_fs(target)
    system.pipe_file(f"{path}/model.safetensors", b"weig")
    system.rm_file(f"{path}/config.json")
    store.publish_folder(ref, target)
    copy = local_copy(target, tmp_path / "copy")
    assert weights_sha256(copy) == ref.weights_sha256


def test_a_folder_is_not_published_on_another_file_system(url: str, tmp_path: Path) -> None:
    store, ref = stored(url, tmp_path)
    for target in ("gs://bucket/x", "s4://bucket/x", f"simplecache::{url}/x"):
        with pytest.raises(ConfigError, match="expected a URL of the file system of"):
            store.publish_folder(ref, target)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_publishing_killed_at_any_moment_is_ended_by_the_next(kind: str, tmp_path: Path) -> None:
    url = storage_url(kind, tmp_path)
    (model := model_folder(tmp_path / "model")).joinpath("model.safetensors").write_bytes(
        b"weights" * 10**6
    )
    store = Store(f"{url}/store")
    ref = store.put_folder(model)
    code = (
        "import sys; from roundsmith.store import FolderRef, ObjectRef, Store\n"
        f"store, ref = Store(sys.argv[1]), {ref!r}\n"
        "print('go', flush=True)\n"
        "for n in range(10**6): store.publish_folder(ref, f'{sys.argv[2]}/{n}')"
    )
    for attempt, wait_s in enumerate((0.0, 0.01, 0.05)):
        target = f"{url}/checkpoints/{attempt}"
        command = [sys.executable, "-c", code, store.url, target]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=child_environment()
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        threading.Event().wait(wait_s)
        process.kill()
        process.communicate()
        for number in range(2):
            store.publish_folder(ref, f"{target}/{number}")
            copy = local_copy(f"{target}/{number}", tmp_path / f"copy-{attempt}-{number}")
            assert weights_sha256(copy) == ref.weights_sha256


def test_a_folder_whose_objects_are_gone_is_not_published(url: str, tmp_path: Path) -> None:
    store, ref = stored(url, tmp_path)
    system, path = fsspec.core.url_to_fs(f"{url}/store/objects")
    system.rm([file for file in system.find(path) if not file.endswith(ref.object.hash)])
    with pytest.raises(StoreError, match="saw none: remove the manifest that names it"):
        store.publish_folder(ref, f"{url}/checkpoints/x")


def round_folder(folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "rows.parquet").write_bytes(b"rows")
    (folder / "report.html").write_text("<html>")
    (folder / "summary.json").write_text(to_json(SUMMARY))
    return folder


def test_a_round_is_copied_and_its_summary_is_read_from_there(remote: str, tmp_path: Path) -> None:
    folder = round_folder(tmp_path / "round-1")
    there = copy_round(folder, f"{remote}/runs/lab/round-1")
    assert read_summary(there) == read_summary(f"{there}/") == read_summary(str(folder)) == SUMMARY
    copy = local_copy(there, tmp_path / "copy")
    assert (copy / "data" / "rows.parquet").read_bytes() == b"rows"
    (folder / "report.html").write_text("<HTML>")
    (folder / "data" / "rows.parquet").rename(folder / "data" / "other.parquet")
    copy_round(folder, there)
    again = local_copy(there, tmp_path / "again")
    assert (again / "report.html").read_text() == "<HTML>"
    assert [path.name for path in (again / "data").iterdir()] == ["other.parquet"]


class Uploads(MemoryFileSystem):  # type: ignore[misc]  # ships no types
    """Storage that tells which files go up, and in the middle of which one somebody writes."""

    protocol = "uploads"
    sent: ClassVar[list[Path]] = []
    written: ClassVar[str] = ""

    def put_file(self, local: str, there: str, **options: object) -> None:
        self.sent.append(path := Path(local))
        if path.name == self.written:
            path.write_bytes(path.read_bytes() + b"more")
        super().put_file(local, there, **options)


def test_a_model_goes_up_from_where_it_lies_and_once(tmp_path: Path) -> None:
    fsspec.register_implementation("uploads", Uploads, clobber=True)
    Uploads.sent.clear()
    Uploads.written = ""
    store, model = Store("uploads://bucket/store"), model_folder(tmp_path / "model")
    ref = store.put_folder(model)
    files = {path for path in model.rglob("*") if path.is_file()}
    assert files == {path for path in Uploads.sent if path.is_relative_to(tmp_path)}
    Uploads.sent.clear()
    assert store.put_folder(model) == ref
    assert not Uploads.sent, "it is there"
    copy = store.fetch_folder(ref, tmp_path / "copy")
    assert (copy / "model.safetensors").read_bytes() == b"weights" * 1000


def test_a_file_that_changes_while_it_goes_up_is_no_object(tmp_path: Path) -> None:
    fsspec.register_implementation("uploads", Uploads, clobber=True)
    Uploads.written = "model.safetensors"
    store, model = Store("uploads://bucket/changing"), model_folder(tmp_path / "model")
    with pytest.raises(
        StoreError, match=r"model\.safetensors: expected a file that stays as it is"
    ):
        store.put_folder(model)
    small = {len(b"{}"), len(b"kept too")}
    assert {size for _, size, _ in store.objects()} <= small


class FailsAtReports(MemoryFileSystem):  # type: ignore[misc]  # ships no types
    """Storage that fails when a page of a report arrives."""

    protocol = "failing"

    def put_file(self, local: str, there: str, **options: object) -> None:
        if there.endswith(".html"):
            raise OSError("the network is gone")
        super().put_file(local, there, **options)


def test_while_a_round_is_copied_over_another_there_is_no_summary(tmp_path: Path) -> None:
    fsspec.register_implementation("failing", FailsAtReports, clobber=True)
    folder, there = round_folder(tmp_path / "round-1"), "failing://bucket/round-1"
    system, path = fsspec.core.url_to_fs(there)
    system.pipe_file(f"{path}/summary.json", to_json(SUMMARY).encode())
    with pytest.raises(StoreError, match="saw the network is gone"):
        copy_round(folder, there)
    with pytest.raises(ConfigError, match="saw none"):
        read_summary(there)


@pytest.mark.parametrize("folder", ["nothing", "unfinished"])
def test_a_round_that_is_not_over_is_not_copied(tmp_path: Path, folder: str) -> None:
    (tmp_path / "unfinished").mkdir()
    with pytest.raises(ConfigError, match=r"expected the folder of a finished round, saw no summ"):
        copy_round(tmp_path / folder, "memory://x/round-1")


def test_a_summary_that_is_not_there_is_told(remote: str, tmp_path: Path) -> None:
    for where in (f"{remote}/runs/none", str(tmp_path)):
        with pytest.raises(ConfigError, match="expected a finished round's summary, saw none"):
            read_summary(where)
