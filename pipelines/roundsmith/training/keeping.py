"""Where a training's checkpoints, progress and model are kept: its own folder, or the storage root.

On one machine the folder is enough. Pods share no volume: each process stores what it alone holds
of a checkpoint, and the first one commits it when it has heard from all.
"""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from roundsmith.errors import StoreError
from roundsmith.store import Store
from roundsmith.training.area import CheckpointFile, TrainingArea
from roundsmith.training.folder import JobFolder
from roundsmith.training.progress import PROGRESS_FILE, Progress, ProgressLog, read_progress
from roundsmith.training.request import StoredResult
from roundsmith.training.result import TrainingResult, write_result

log = logging.getLogger(__name__)

TELL_S = 2.0
"""How often progress is stored at most."""


class Keeping(Protocol):
    """What a training hands out as it goes. `peers` are accelerate's PartialState."""

    @property
    def progress(self) -> ProgressLog:
        """Of the first process."""

    def last_checkpoint(self) -> tuple[Path | None, int]:
        """On every process: the last whole checkpoint and its steps; (None, 0) without one."""

    def keep_checkpoint(self, partial: Path) -> None:
        """On every process, each with what it wrote in `partial`: make that the last one."""

    def finish(self, partial: Path, result: TrainingResult) -> None:
        """On the first process: keep the trained model, then say that it is finished."""


Keep = Callable[[JobFolder, Any], Keeping]
"""Makes the keeping of a training, from its folder and its peers."""


class FolderKeeping:
    """Everything in the folder of the training, on the disk of the only machine."""

    def __init__(self, folder: JobFolder, peers: Any) -> None:
        self._folder, self._peers = folder, peers
        self.progress = ProgressLog(folder.path)

    def last_checkpoint(self) -> tuple[Path | None, int]:
        return self._folder.last_checkpoint()

    def keep_checkpoint(self, partial: Path) -> None:
        self._peers.wait_for_everyone()
        if self._peers.is_main_process:
            self.progress.keep_beside(partial)
            self._folder.keep_checkpoint(partial)
        self._peers.wait_for_everyone()

    def finish(self, partial: Path, result: TrainingResult) -> None:
        write_result(self._folder.path, result)
        self._folder.finish(partial)


class StoredKeeping:
    """Everything in the storage root; the folder of each machine may be lost at any moment."""

    def __init__(self, area: TrainingArea, folder: JobFolder, peers: Any) -> None:
        self._area, self._folder, self._peers = area, folder, peers
        self.progress = ToldProgress(folder.path, area)

    def last_checkpoint(self) -> tuple[Path | None, int]:
        """All processes go on from the checkpoint that the first one sees: a later one may be
        committed while another machine looks.
        """
        from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]  # no types

        first = self._peers.is_main_process
        (listing,) = broadcast_object_list([self._area.checkpoint() if first else None])
        if first:
            self.progress.fetch()
        if listing is None:
            return None, 0
        target = self._folder.checkpoints / f"checkpoint-{listing.step}"
        if self._peers.is_local_main_process:
            shutil.rmtree(target, ignore_errors=True)
            self._area.fetch(listing, target)
        self._peers.wait_for_everyone()
        return target, listing.step

    def keep_checkpoint(self, partial: Path) -> None:
        from accelerate.utils import gather_object

        if self._peers.is_main_process:
            self.progress.keep_beside(partial)
        files: list[CheckpointFile] = gather_object(
            [self._area.put(path) for path in self._own(partial)]
        )
        if self._peers.is_main_process:
            self.progress.tell()
            self._area.commit(int(partial.name.rpartition("-")[2]), files)
        self._peers.wait_for_everyone()
        if self._peers.is_local_main_process:
            shutil.rmtree(partial)

    def finish(self, partial: Path, result: TrainingResult) -> None:
        store = Store(self._area.request().store)
        lines = read_progress(self._folder.path / PROGRESS_FILE)
        loss = tuple((line.step, line.loss) for line in lines)
        folder = store.put_folder(partial)
        self.progress.tell()
        took_s = self.progress.seconds
        self._area.finish(StoredResult(folder, result, loss, self._peers.num_processes, took_s))

    def _own(self, partial: Path) -> list[Path]:
        """The files that this process wrote: its random state, and on the first one all else."""
        if self._peers.num_processes == 1:
            return sorted(partial.iterdir())
        own = partial / f"rng_state_{self._peers.process_index}.pth"
        if not self._peers.is_main_process:
            return [own]
        shared = (path for path in partial.iterdir() if not path.name.startswith("rng_state_"))
        return [own, *sorted(shared)]


class ToldProgress(ProgressLog):
    """A progress file that is also stored, every few seconds."""

    def __init__(self, folder: Path, area: TrainingArea) -> None:
        super().__init__(folder)
        self._area = area
        self._told_at = 0.0

    def fetch(self) -> None:
        """Begin with what was told before."""
        self.replace(self._area.progress())

    def add(self, progress: Progress) -> None:
        super().add(progress)
        if time.monotonic() - self._told_at > TELL_S:
            self.tell()

    def tell(self) -> None:
        """Store the file; a storage that fails for a moment ends no training for it."""
        self._told_at = time.monotonic()
        try:
            self._area.tell(self.path.read_text())
        except StoreError as error:
            log.warning("progress is not told: %s", error)
