"""Checkpoints on local disk: whole and checked or absent, by weight version, the last two kept."""

import fcntl
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from roundsmith.errors import ConfigError, StoreError
from roundsmith.hashing import weights_sha256
from roundsmith.leftovers import temporary_folder
from roundsmith.storage import FULL

_PARTIAL = ".partial-"
_VERSION = re.compile("[0-9a-f]{64}")


class WeightsCache:
    """A folder of one process: a lock keeps others out, who would remove what is served.

    Without a folder it is a new one of the system's temporary files, removed by `close`, or if the
    process is killed by the next one; what it left in a given folder, when that is next opened.
    """

    def __init__(self, folder: Path | None) -> None:
        self._held = ExitStack()
        if folder is None:
            folder = Path(self._held.enter_context(temporary_folder("weights")))
        self.folder = folder
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._held.enter_context((self.folder / ".lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise ConfigError(
                f"--weights-cache {self.folder}: expected a folder of this service alone, saw "
                "another one hold it: give each its own"
            ) from error
        except OSError as error:
            raise ConfigError(
                f"--weights-cache {self.folder}: expected a folder that can be written, saw "
                f"{error}: give another"
            ) from error
        for leftover in self.folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def find(self, version: str) -> Path | None:
        """The folder of a weight version; a damaged one is removed and counts as absent."""
        folder = self.folder / version
        if not folder.is_dir():
            return None
        try:
            if weights_sha256(folder) == version:
                return folder
        except ConfigError:  # its weights are gone
            pass
        shutil.rmtree(folder)
        return None

    @contextmanager
    def adding(self, version: str) -> Iterator[Path]:
        """A folder to fill, which is the one of `version` after the block and nothing after a
        failure. Raises StoreError when the disk is full.
        """
        partial = self.folder / f"{_PARTIAL}{uuid.uuid4().hex}"
        partial.mkdir()
        try:
            yield partial
            partial.replace(self.folder / version)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise self._full(error.strerror or str(error)) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def check_room(self, num_bytes: int) -> None:
        """Raises StoreError unless so many bytes fit."""
        if (free := shutil.disk_usage(self.folder).free) < num_bytes:
            raise self._full(f"{num_bytes:,} bytes to keep and {free:,} free")

    def drop_others(self, kept: set[str]) -> None:
        """Remove every checkpoint but these; what is none, such as a folder of the user's or the
        cache of the adapters, is not ours to remove.
        """
        for folder in self.folder.iterdir():
            if _VERSION.fullmatch(folder.name) and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Let another process have the folder."""
        self._held.close()

    def _full(self, seen: str) -> StoreError:
        return StoreError(
            f"--weights-cache {self.folder}: expected room for the checkpoint, saw {seen}: free "
            "space, or name a folder on a larger disk (it holds three checkpoints at most)"
        )
