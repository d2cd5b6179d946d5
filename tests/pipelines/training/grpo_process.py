"""`python -m tests.pipelines.training.grpo_process JOB.json`: a grpo training whose rollouts are
made up, in a process that can be killed. It notes every step that it draws for.
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from accelerate import PartialState  # type: ignore[import-untyped]  # ships no types

from roundsmith.training import TrainingJob
from roundsmith.training.folder import JobFolder
from roundsmith.training.keeping import FolderKeeping
from roundsmith.training.rollouts import Rollout
from tests.pipelines.training.test_grpo import Drawn, built

STEP_S = 0.2
"""A step takes so long, so that a kill finds one under way."""


class Noted(Drawn):
    """Notes every step, and takes a while for it."""

    def __init__(self, notes: Path) -> None:
        super().__init__(1.0, 0.0, 1.0, 0.0)
        self._notes = notes

    def draw(self, prompts: Mapping[str, tuple[int, ...]], step: int) -> dict[str, list[Rollout]]:
        with self._notes.open("a") as notes:
            notes.write(f"{step}\n")
        time.sleep(STEP_S)
        return super().draw(prompts, step)


def main() -> None:
    """Train, or go on, and save what came out as `trained`."""
    job = TrainingJob.read(Path(sys.argv[1]))
    trainer = built(job, Noted(job.out.with_name(f"{job.out.name}-steps")))
    checkpoint, _ = FolderKeeping(JobFolder(job), PartialState(cpu=True)).last_checkpoint()
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.model.save_pretrained(job.out / "trained")


if __name__ == "__main__":
    main()
