"""`python -m tests.pipelines.training.grpo_process JOB.json STEP`: a grpo training whose rollouts
are made up, in a process that is killed while it draws for a step. It notes every step that it
draws for.
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from accelerate import PartialState  # type: ignore[import-untyped]  # ships no types

from roundsmith.training import TrainingJob
from roundsmith.training.folder import JobFolder
from roundsmith.training.keeping import FolderKeeping
from roundsmith.training.rollouts import Rollout, Wanted
from tests.pipelines.training.test_grpo import Drawn, built


class Noted(Drawn):
    """Notes every step, and is killed at one."""

    def __init__(self, notes: Path, killed_at: int) -> None:
        super().__init__(1.0, 0.0, 1.0, 0.0)
        self._notes, self._killed_at = notes, killed_at

    def draw(self, prompts: Mapping[str, Wanted], step: int) -> dict[str, list[Rollout]]:
        with self._notes.open("a") as notes:
            notes.write(f"{step}\n")
        if step == self._killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(prompts, step)


def main() -> None:
    """Train, or go on, and save what came out as `trained`."""
    job, killed_at = TrainingJob.read(Path(sys.argv[1])), int(sys.argv[2])
    trainer = built(job, Noted(job.out.with_name(f"{job.out.name}-steps"), killed_at))
    checkpoint, _ = FolderKeeping(JobFolder(job), PartialState(cpu=True)).last_checkpoint()
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.model.save_pretrained(job.out / "trained")


if __name__ == "__main__":
    main()
