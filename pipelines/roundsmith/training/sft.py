"""The objective sft: imitate completions. TRL's SFTTrainer, over rows that are tokenized
already.
"""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]  # ships no types
from transformers import PrinterCallback, Trainer, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from roundsmith.training.folder import JobFolder
from roundsmith.training.job import TrainingJob
from roundsmith.training.keeping import Keeping
from roundsmith.training.plan import Plan
from roundsmith.training.schedule import learning_rate_factor


def arguments(job: TrainingJob, folder: JobFolder, device: str, bfloat16: bool) -> SFTConfig:
    """The job in TRL's words; how many steps and which batches come with the plan."""
    return SFTConfig(
        output_dir=str(folder.work),
        learning_rate=job.learning_rate,
        weight_decay=job.weight_decay,
        adam_beta1=job.adam_betas[0],
        adam_beta2=job.adam_betas[1],
        adam_epsilon=job.adam_epsilon,
        max_grad_norm=job.max_grad_norm,
        seed=job.seed % 2**32,
        bf16=bfloat16,
        use_cpu=device == "cpu",
        gradient_checkpointing=job.gradient_checkpointing,
        # Rows come tokenized, cut and in order.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        train_sampling_strategy="sequential",
        dataloader_pin_memory=device != "cpu",
        logging_steps=1,
        # A loss that is not a number must be seen, not replaced.
        logging_nan_inf_filter=False,
        save_strategy="steps" if job.checkpoint_every_steps else "no",
        save_steps=job.checkpoint_every_steps or 500,
        report_to="none",
        disable_tqdm=True,
    )


class RoundTrainer(SFTTrainer):
    """SFTTrainer with GiFT's learning rate, and checkpoints that are whole or absent."""

    def __init__(self, job: TrainingJob, keeping: Keeping, **keywords: Any) -> None:
        self._job = job
        self._keeping = keeping
        super().__init__(**keywords)

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


def build(
    job: TrainingJob,
    keeping: Keeping,
    plan: Plan,
    config: SFTConfig,
    model: Any,
    callbacks: list[TrainerCallback],
) -> RoundTrainer:
    """A trainer over the plan's rows, ready to run."""
    config.max_steps = plan.steps
    config.per_device_train_batch_size = plan.micro_batch_size
    config.gradient_accumulation_steps = plan.accumulation
    rows = Dataset.from_file(str(plan.tokens.path))
    trainer = RoundTrainer(
        job,
        keeping,
        model=model,
        args=config,
        train_dataset=rows.select(plan.order),
        # Padding is masked; the id only has to exist.
        data_collator=DataCollatorForLanguageModeling(pad_token_id=0),
        processing_class=plan.tokenizer,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
