"""What one training is asked to do. Defaults are GiFT's (arXiv 2502.11466, released code)."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from roundsmith.config import Settings
from roundsmith.errors import ConfigError


class TrainingJob(Settings):
    """One training: rows and a model folder in, a model folder out."""

    objective: Literal["sft"] = "sft"
    model: Path
    """A Hugging Face folder with safetensors weights; it is not changed."""
    rows: tuple[Path, ...] = Field(min_length=1)
    """Parquet files of examples, read in this order."""
    out: Path
    """Holds `model/` when done, and before that checkpoints; shared by all nodes of the
    training.
    """
    epochs: float = Field(2.0, gt=0)
    max_steps: int = Field(0, ge=0)
    """Exactly so many optimizer steps instead of `epochs`; 0 counts epochs."""
    batch_size: int = Field(128, gt=0)
    """Rows of one optimizer step, over all processes."""
    micro_batch_size: int = Field(16, gt=0)
    """Rows of one forward pass at most; the result depends on it only by rounding."""
    learning_rate: float = Field(2e-5, ge=0)
    warmup_steps: int = Field(30, ge=0)
    warmup_start_ratio: float = Field(0.25, ge=0, le=1)
    """The first step's learning rate, as a part of `learning_rate` (GiFT: 5e-6 of 2e-5)."""
    weight_decay: float = Field(0.05, ge=0)
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_epsilon: float = Field(1e-6, gt=0)
    max_grad_norm: float = Field(1.0, gt=0)
    max_length: int = Field(1536, gt=1)
    """Tokens of prompt, completion and end token; a longer row is dropped and counted."""
    seed: int = Field(0, ge=0)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the arithmetic; weights and optimizer are float32. `auto` is float32 below 50 M
    parameters.
    """
    device: Literal["auto", "cpu", "cuda"] = "auto"
    gradient_checkpointing: bool = False
    """Less memory for about a fifth more time."""
    checkpoint_every_steps: int = Field(50, ge=0)
    """0 writes none: a killed training starts over."""
    num_threads: int = Field(0, ge=0)
    """Of one process; 0 divides the cores. The same number gives the same weights, bitwise, on
    a CPU.
    """

    @classmethod
    def read(cls, path: Path) -> "TrainingJob":
        """The job in a JSON file. Raises ConfigError when it is not one."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ConfigError(
                f"{path}: expected a training job in JSON, saw {error}: correct it"
            ) from error
