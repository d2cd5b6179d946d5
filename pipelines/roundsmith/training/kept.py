"""What every trainer here does its own way: the learning rate, and checkpoints that are whole."""

from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer

from roundsmith.training.job import TrainingJob
from roundsmith.training.keeping import Keeping
from roundsmith.training.plan import Plan
from roundsmith.training.schedule import learning_rate_factor


class Kept(Trainer):
    """Mixed in before one of TRL's trainers: the job's learning rate, and checkpoints that are
    whole or absent.
    """

    def __init__(self, job: TrainingJob, keeping: Keeping, plan: Plan, **keywords: Any) -> None:
        self._job, self._keeping, self._plan = job, keeping, plan
        config = keywords["args"]
        config.max_steps = plan.steps
        config.per_device_train_batch_size = plan.micro_batch_size
        config.gradient_accumulation_steps = plan.accumulation
        super().__init__(processing_class=plan.tokenizer, **keywords)
        self.remove_callback(PrinterCallback)

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """Linear warm-up from a part of the highest rate, then linear decay to zero."""

        def factor(step: int) -> float:
            start = self._job.warmup_start_ratio
            return learning_rate_factor(step, num_training_steps, self._job.warmup_steps, start)

        driven = optimizer or self.optimizer
        assert driven is not None, "the optimizer is made before its schedule"
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(driven, factor)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # Not TRL's own, which also writes a model card; into `work`, which nothing resumes from.
        Trainer._save_checkpoint(self, model, trial)
        assert self.args.output_dir is not None
        partial = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        self._keeping.keep_checkpoint(partial)
