"""A training that comes to its end at a step: by SIGKILL, or by an error that nothing catches.

python -m tests.pipelines.training.doomed JOB.json STEP PROCESSES
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from roundsmith.children import die_with_parent
from roundsmith.config import child_environment
from roundsmith.startup import hold_searches
from roundsmith.training import TrainingJob
from roundsmith.training.__main__ import ON_THIS_MACHINE
from roundsmith.training.folder import JobFolder
from roundsmith.training.keeping import FolderKeeping
from roundsmith.training.progress import Progress, ProgressLog

ROOT = Path(__file__).parents[3]


class CutShort(BaseException):
    """The end of a training in this process."""


class DoomedLog(ProgressLog):
    """Ends the training when it has written the line of a step."""

    def __init__(self, folder: Path, step: int, killed: tuple[int, ...]) -> None:
        super().__init__(folder)
        self._step, self._killed = step, killed

    def add(self, progress: Progress) -> None:
        super().add(progress)
        if progress.step == self._step:
            for pid in self._killed:
                os.kill(pid, signal.SIGKILL)
            raise CutShort


def cut_short(job: TrainingJob, step: int, killed: tuple[int, ...] = ()) -> None:
    """Trains until the line of a step is written. What is on the disk then stays as it is."""
    from roundsmith.training.run import run

    def doomed(folder: JobFolder, peers: Any) -> FolderKeeping:
        keeping = FolderKeeping(folder, peers)
        keeping.progress = DoomedLog(folder.path, step, killed)
        return keeping

    try:
        run(job, doomed)
    except CutShort:
        return
    raise AssertionError(f"expected the training to be cut short at step {step}, saw its end")


def killed_at(job: TrainingJob, step: int, processes: int = 1) -> None:
    """The same in processes of its own, which get SIGKILL."""
    path = job.out.with_suffix(".json")
    path.write_text(job.model_dump_json())
    program = [sys.executable, *([] if processes > 1 else ["-W", "error"]), "-m", __name__]
    arguments = [str(path), str(step), str(processes)]
    done = subprocess.run([*program, *arguments], cwd=ROOT, env=child_environment(), check=False)
    assert done.returncode == -signal.SIGKILL


def main() -> None:
    """Trains, or lets torchrun do so in several processes, all of which end with the first one."""
    from torch.distributed.run import main as torchrun

    die_with_parent()
    job, step, processes = sys.argv[1:]
    if processes != "1":
        os.environ |= child_environment()
        program = ["-m", __spec__.name, job, step, "1"]
        where = [*ON_THIS_MACHINE, f"--nproc-per-node={processes}", f"--log-dir={job}.logs"]
        torchrun([*where, *program])
    hold_searches()
    torchruns = (os.getppid(),) if "RANK" in os.environ else ()
    cut_short(TrainingJob.read(Path(job)), int(step), (*torchruns, os.getpid()))


if __name__ == "__main__":
    main()
