"""`python -m tests.pipelines.training.grpo_process JOB.json STEP`: a grpo training whose rollouts
are made up, in a process that is killed while it draws for a step; or in several. It
notes every step that it draws for, with what is drawn and the sum of the weights that are served.
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from torch import distributed

from roundsmith.training import TrainingJob
from roundsmith.training.folder import JobFolder
from roundsmith.training.keeping import FolderKeeping
from roundsmith.training.merged import save_whole
from roundsmith.training.peers import joined
from roundsmith.training.rollouts import Rollout, Wanted
from tests.pipelines.training.test_grpo import Drawn, built


class Noted(Drawn):
    """Notes every step, and is killed at one."""

    def __init__(self, notes: Path, killed_at: int) -> None:
        super().__init__(1.0, 0.0, 1.0, 0.0)
        self._notes, self._killed_at = notes, killed_at

    def draw(self, prompts: Mapping[str, Wanted], step: int) -> dict[str, list[Rollout]]:
        with self._notes.open("a") as notes:
            wanted = "+".join(f"{name}:{number}" for name, (_, number) in prompts.items())
            notes.write(f"{step} {wanted} {self.served[-1]}\n")
        if step == self._killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(prompts, step)


def main() -> None:
    """Train, or go on, and save what came out as `trained`."""
    job, killed_at = TrainingJob.read(Path(sys.argv[1])), int(sys.argv[2])
    peers = joined(cpu=True)
    trainer = built(job, Noted(job.out.with_name(f"{job.out.name}-steps"), killed_at))
    checkpoint, _ = FolderKeeping(JobFolder(job), peers).last_checkpoint()
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trained = trainer.whole()
    if peers.is_main_process:
        save_whole(trained, job.out / "trained")
    peers.wait_for_everyone()
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
