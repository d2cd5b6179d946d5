"""A job in the words of transformers and TRL, as far as its objective does not matter."""

from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.training.folder import JobFolder
from roundsmith.training.job import TrainingJob


def common(job: TrainingJob, folder: JobFolder, device: str, bfloat16: bool) -> dict[str, Any]:
    """What every trainer's config takes."""
    sharded = _is_sharded(job)
    return {
        "output_dir": str(folder.work),
        "learning_rate": job.learning_rate,
        "optim": "adamw_torch_fused" if job.optimizer == "adamw" else "adafactor",
        "weight_decay": job.weight_decay,
        "adam_beta1": job.adam_betas[0],
        "adam_beta2": job.adam_betas[1],
        "adam_epsilon": job.adam_epsilon,
        "max_grad_norm": job.max_grad_norm,
        "seed": job.seed % 2**32,
        "bf16": bfloat16,
        "use_cpu": device == "cpu",
        "gradient_checkpointing": job.gradient_checkpointing and not sharded,
        "fsdp": sharded or None,
        "fsdp_config": {"activation_checkpointing": job.gradient_checkpointing and sharded},
        # Rows come tokenized, cut and in order.
        "max_length": None,
        "train_sampling_strategy": "sequential",
        "dataloader_pin_memory": device != "cpu",
        "logging_steps": 1,
        # A loss that is not a number must be seen, not replaced.
        "logging_nan_inf_filter": False,
        "save_strategy": "steps" if job.checkpoint_every_steps else "no",
        "save_steps": job.checkpoint_every_steps or 500,
        "report_to": "none",
        "disable_tqdm": True,
    }


def _is_sharded(job: TrainingJob) -> bool:
    """Whether several processes share the weights. Raises ConfigError for what none can share."""
    from accelerate import PartialState  # type: ignore[import-untyped]  # ships no types

    if not job.sharded or PartialState().num_processes == 1:
        return False
    if job.optimizer == "adafactor":
        raise ConfigError(
            "sharded: expected the optimizer adamw, saw adafactor, whose factored state does not "
            "shard: use adamw, or one process a model"
        )
    return True


def adapters(job: TrainingJob) -> Any:
    """The job's LoRA in peft's words, or None where all weights are trained."""
    if not job.lora_rank:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=job.lora_rank,
        lora_alpha=job.lora_alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
