"""The folder of one training: its identity, checkpoints, and the model that appears whole at
the end.
"""

import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.hashing import WEIGHT_FILES, content_hash, file_sha256, weights_sha256
from roundsmith.store.root import sync
from roundsmith.training.job import TrainingJob

_VERSION = 1
PLACES = ("model", "rows", "tasks", "rollouts", "out")
"""What of a job says where something is."""
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


class JobFolder:
    """Names inside `job.out`.

    model/         the trained model: a training with it is finished
    checkpoints/   whole checkpoints, gone when it is finished
    work/          what a kill may leave half written; nothing reads it
    """

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.path = job.out
        self.model = job.out / "model"
        self.checkpoints = job.out / "checkpoints"
        self.work = job.out / "work"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder alone; waits for a process that a killed run left behind to end."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @property
    def finished(self) -> bool:
        return self.model.is_dir()

    def open(self) -> None:
        """Make the folder this job's, and ready. Raises ConfigError when it holds another job's, or
        a model of which nothing says whose it is.
        """
        path, own = self.path / "job.json", self.identity()
        if self.finished and not path.exists():
            raise ConfigError(
                f"{self.path}: expected job.json beside model, saw none: whose model it is can not "
                "be told; remove the folder, or give another"
            )
        if path.exists() and (seen := json.loads(path.read_text())["identity"]) != own:
            raise ConfigError(
                f"{self.path}: expected no training or this one ({own[:12]}), saw another "
                f"({seen[:12]}), with other rows, model or settings: give another out folder, or "
                "remove this one"
            )
        prepare = self._tidy if self.finished else self._prepare
        prepare()
        if not path.exists():
            partial = self.work / path.name
            partial.write_text(json.dumps({"schema_version": _VERSION, "identity": own}) + "\n")
            sync(partial)
            partial.replace(path)

    def _prepare(self) -> None:
        self.checkpoints.mkdir(exist_ok=True)
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()

    def identity(self) -> str:
        """The hash of settings, rows and model, wherever these lie."""
        settings = self.job.model_dump(mode="json", exclude=set(PLACES))
        rows = [file_sha256(path) for path in (*self.job.rows, *self.job.tasks)]
        return content_hash("training", _VERSION, settings, rows, weights_sha256(self.job.model))

    def last_checkpoint(self) -> tuple[Path | None, int]:
        """The checkpoint with the most steps, and their number; (None, 0) when there is none."""
        by_step = {
            int(match[1]): path
            for path in self.checkpoints.iterdir()
            if (match := _CHECKPOINT.fullmatch(path.name))
        }
        return (by_step[max(by_step)], max(by_step)) if by_step else (None, 0)

    def keep_checkpoint(self, partial: Path) -> None:
        """Make a complete checkpoint of `work` the last one, and remove those before it."""
        whole = self.checkpoints / partial.name
        _move(partial, whole)
        for path in self.checkpoints.iterdir():
            if path != whole:
                shutil.rmtree(path)

    def complete(self, partial: Path) -> str:
        """Finish a saved model folder with the tokenizer of the one trained from, and with its code
        where that may run; its weight version.
        """
        code = ("*.py",) if self.job.trust_remote_code else ()
        for pattern in (*WEIGHT_FILES, *code):
            for source in self.job.model.glob(pattern):
                # Only what training can not change: the tokenizer and its template, byte for byte.
                if (
                    not source.name.endswith((".safetensors", ".index.json"))
                    and not (partial / source.name).exists()
                ):
                    shutil.copyfile(source, partial / source.name)
        return weights_sha256(partial)

    def finish(self, partial: Path) -> None:
        """Commit the trained model and remove what only a resume needed."""
        _move(partial, self.model)
        self._tidy()

    def _tidy(self) -> None:
        """Remove checkpoints and work of a finished training."""
        for path in (self.checkpoints, self.work):
            shutil.rmtree(path, ignore_errors=True)


def _move(partial: Path, whole: Path) -> None:
    """Rename a folder when all that is in it is on the disk, so that a machine that goes down
    leaves it whole under its new name, or under its old one.
    """
    for path in (*partial.rglob("*"), partial):
        sync(path)
    partial.rename(whole)
    sync(whole.parent)
