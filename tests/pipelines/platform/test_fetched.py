"""Copies of stored models: those that were used last stay."""

import os
from pathlib import Path

from roundsmith.platform.fetched import KEPT, Fetched
from roundsmith.store import FolderRef, Store


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
