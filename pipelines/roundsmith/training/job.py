"""What one training is asked to do: its settings, and on which rows, model and machine."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from roundsmith.clients import ROUNDS, Endpoints
from roundsmith.config import Settings
from roundsmith.errors import ConfigError
from roundsmith.recipes.stage import Stage


class Rollouts(Settings):
    """Running services, and where the generator finds the weights to sample from."""

    endpoints: Endpoints
    policies: str
    """The URL of a folder of this training's own, under what the generator may load from."""
    patience_s: float = Field(ROUNDS.give_up_s, gt=0)
    """How long a service may be away."""
    traceparent: str = ""
    """The span of who asks for the training, which its calls follow; empty follows none."""


class TrainingJob(Stage):
    """One training: a stage's settings, rows and a model folder in, a model folder out."""

    model: Path
    """A Hugging Face folder with safetensors weights; it is not changed."""
    trust_remote_code: bool = False
    """Let Python code in the model's folder run here; it is copied to the trained model."""
    tasks: tuple[Path, ...] = ()
    """Parquet files of the tasks whose tests reward grpo's completions."""
    rollouts: Rollouts | None = None
    """The services that grpo samples and judges with."""
    rows: tuple[Path, ...] = Field(min_length=1)
    """Parquet files of what the objective reads, examples or pairs, read in this order."""
    out: Path
    """Holds `model/` when done, and before that checkpoints; shared by all nodes of the
    training.
    """
    max_steps: int = Field(0, ge=0)
    """Exactly so many optimizer steps instead of `epochs`; 0 counts epochs."""
    seed: int = Field(0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
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
