"""Copies of stored models, from which services load and trainings begin."""

import os
import shutil
from pathlib import Path

from roundsmith.store import FolderRef, Store

KEPT = 4
"""Copies that were used last are kept, so that what is served can be loaded again."""
_VERSION = 64
"""Characters of the name of a copy: its weight version."""


class Fetched:
    """The copies in a folder, a weight version each. The store has every one of them, so that a
    long comparison needs no room for each model twice.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: dict[Path, None] = {}
        """Copies that this process fetched, the last one at the end: clocks may jump."""

    def path(self, ref: FolderRef) -> Path:
        """Where the copy of a stored model lies."""
        return self._folder / ref.weights_sha256

    def fetch(self, store: Store, ref: FolderRef, in_use: Path) -> Path:
        """The copy of a stored model, made when it is not there; those that were not used for the
        longest time go, but not the one `in_use`.

        Raises StoreError when something else is in its place.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        found = store.fetch_folder(ref, self.path(ref))
        os.utime(found)
        self._used.pop(found, None)
        self._used[found] = None
        self._remove_oldest({found, in_use})
        return found

    def _remove_oldest(self, spared: set[Path]) -> None:
        for left in self._folder.glob(".*.removed"):  # a killed run's
            shutil.rmtree(left)
        copies = [path for path in self._folder.iterdir() if len(path.name) == _VERSION]
        turns = {path: turn for turn, path in enumerate(self._used, 1)}
        copies.sort(key=lambda path: (turns.get(path, 0), path.stat().st_mtime), reverse=True)
        for copy in copies[KEPT:]:
            if copy not in spared:
                leaving = copy.with_name(f".{copy.name}.removed")
                copy.rename(leaving)  # no half of one is ever found in its place
                shutil.rmtree(leaving)
