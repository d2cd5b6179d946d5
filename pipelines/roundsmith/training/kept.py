"""What every trainer here does its own way: the learning rate, and checkpoints and models that are
whole.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer

from roundsmith.training.job import TrainingJob
from roundsmith.training.keeping import Keeping
from roundsmith.training.loading import load
from roundsmith.training.plan import Plan
from roundsmith.training.schedule import learning_rate_factor
from roundsmith.training.settings import adapters
from roundsmith.training.sharding import load_optimizer, save_optimizer, shard_on_cpu

SCHEDULER_FILE = "scheduler.pt"


class Kept(Trainer):
    """Mixed in before one of TRL's trainers: the job's learning rate, and checkpoints that are
    whole or absent.
    """

    def __init__(self, job: TrainingJob, keeping: Keeping, plan: Plan, **keywords: Any) -> None:
        self._job, self._keeping, self._plan = job, keeping, plan
        self._copy: Any = None
        config = keywords["args"]
        config.max_steps = plan.steps
        config.per_device_train_batch_size = plan.micro_batch_size
        config.gradient_accumulation_steps = plan.accumulation
        super().__init__(processing_class=plan.tokenizer, **keywords)
        self.is_fsdp_enabled = self._is_sharded
        self.remove_callback(PrinterCallback)

    def whole(self) -> Any:
        """The model as it is now, of which the first process holds all weights. Every process asks
        for it; where they share the weights, the first one keeps a copy to put them into.
        """
        trained = self.accelerator.unwrap_model(self.model)
        if not self.is_fsdp_enabled:
            return trained
        weights = self.accelerator.get_state_dict(self.model)
        if not self.accelerator.is_main_process:
            return trained
        if self._copy is None:
            self._copy, _ = load(self._job)
            if config := adapters(self._job):
                from peft import get_peft_model

                self._copy = get_peft_model(self._copy, config)
        self._copy.load_state_dict(weights)
        return self._copy

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

    def create_accelerator_and_postprocess(self) -> None:
        """As transformers does, and sharded on CPUs too.

        Not while a reference is asked for: TRL would load it a second time, and shard it, though
        every process asks it for rows of its own.
        """
        super().create_accelerator_and_postprocess()
        shard_on_cpu(self.accelerator, self.args)
        self._is_sharded = getattr(self.accelerator.state, "fsdp_plugin", None) is not None
        asks = getattr(self.args, "precompute_ref_log_probs", False)
        self.is_fsdp_enabled = self._is_sharded and not asks

    def _prepare_for_training(self, *inputs: Any, **named: Any) -> Any:
        checkpoint = named.get("resume_from_checkpoint") or (inputs[2] if len(inputs) > 2 else None)
        if self._is_sharded and checkpoint is not None:
            self.is_fsdp_enabled = False
            super()._load_from_checkpoint(checkpoint, self.model)  # whole, before it is sharded
            self.is_fsdp_enabled = True
        return super()._prepare_for_training(*inputs, **named)  # type: ignore[no-untyped-call]  # untyped

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        if not self._is_sharded:
            super()._load_from_checkpoint(checkpoint, model)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        folder, first = Path(output_dir), self.accelerator.is_main_process
        save_optimizer(self.model, self.optimizer, folder, first)
        if first:
            assert self.lr_scheduler is not None
            torch.save(self.lr_scheduler.state_dict(), folder / SCHEDULER_FILE)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        load_optimizer(self.model, self.optimizer, Path(checkpoint))
        assert self.lr_scheduler is not None
        state = torch.load(Path(checkpoint) / SCHEDULER_FILE, weights_only=True)
        self.lr_scheduler.load_state_dict(state)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # Not TRL's own, which also writes a model card; into `work`, which nothing resumes from.
        Trainer._save_checkpoint(self, model, trial)
        assert self.args.output_dir is not None
        partial = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        self._keeping.keep_checkpoint(partial)
