"""Copies of stored models: those that were used last stay."""

import os
import subprocess
import sys
from pathlib import Path

from roundsmith.config import child_environment
from roundsmith.platform.fetched import KEPT, Fetched
from roundsmith.store import FolderRef, Manifest, Store, step_key

KILLED = """
import os, sys, threading
from pathlib import Path
from roundsmith.store import Store
store, folder = Store(sys.argv[1]), Path(sys.argv[2])
(manifest,) = store.manifests("model")
def kill():
    while not any(path.name.startswith(".") for path in folder.iterdir()):
        continue
    os.kill(os.getpid(), 9)
threading.Thread(target=kill, daemon=True).start()
for number in range(1_000_000):
    store.fetch_folder(store.folder(manifest.objects[0]), folder / str(number))
"""
"""Copies a model again and again until it is killed while it does."""


def models(folder: Path, store: Store, num: int) -> list[FolderRef]:
    """Stored folders whose weights are different files."""
    found: list[FolderRef] = []
    for number in range(num):
        model = folder / f"model{number}"
        model.mkdir()
        (model / "model.safetensors").write_bytes(bytes([number]) * 9)
        (model / "config.json").write_text("{}")
        found.append(store.put_folder(model))
    return found


def test_copies_go_that_were_not_used_for_the_longest_time_and_come_back(tmp_path: Path) -> None:
    store, where = Store(str(tmp_path / "store")), tmp_path / "work"
    refs = models(tmp_path, store, KEPT + 3)
    fetched = Fetched(where)
    (where / "rollouts-x").mkdir(parents=True)
    begun = fetched.fetch(store, refs[0], Path())

    def fetch(ref: FolderRef, at: int) -> Path:
        path = fetched.fetch(store, ref, begun)
        os.utime(path, (at, at))
        return path

    os.utime(begun, (1, 1))
    paths = [fetch(ref, at) for at, ref in enumerate(refs[1:], 2)]
    kept = {path for path in where.iterdir() if path.name != "rollouts-x"}
    assert kept == {begun, *paths[-KEPT:]}, "the one in use, and the last"
    assert (where / "rollouts-x").is_dir()
    again = fetched.fetch(store, refs[1], begun)
    assert (again / "model.safetensors").read_bytes() == bytes([1]) * 9


def test_half_a_copy_of_a_killed_run_goes_with_the_next_copy(tmp_path: Path) -> None:
    store, where = Store(str(tmp_path / "store")), tmp_path / "work"
    (ref,) = models(tmp_path, store, 1)
    store.commit(Manifest("model", step_key("model", 1, {}, ()), (ref.object,)))
    where.mkdir()
    words = [sys.executable, "-c", KILLED, store.url, str(where)]
    assert subprocess.run(words, env=child_environment(), check=False).returncode == -9
    left = {path for path in where.iterdir() if path.name.startswith(".")}
    assert left, "it was killed"
    removed = where / f".{'0' * 64}.removed"
    removed.mkdir()
    Fetched(where).fetch(store, ref, Path())
    assert not {removed, *left} & set(where.iterdir())


def test_copies_of_the_future_go_before_those_that_were_used_after_the_clock_was_put_back(
    tmp_path: Path,
) -> None:
    store, where = Store(str(tmp_path / "store")), tmp_path / "work"
    refs = models(tmp_path, store, 2 * KEPT)
    for ref in refs[:KEPT]:
        os.utime(Fetched(where).fetch(store, ref, Path()), (2**33, 2**33))
    fetched = Fetched(where)
    used = {fetched.fetch(store, ref, Path()) for ref in refs[KEPT:]}
    assert set(where.iterdir()) == used
