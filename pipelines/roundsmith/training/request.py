"""What a training is asked for by reference into a store, and what it answers: the same for a
child process and for pods.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError

from roundsmith.config import Settings
from roundsmith.errors import ConfigError
from roundsmith.recipes.stage import Stage
from roundsmith.store import FolderRef, ObjectRef, Store
from roundsmith.training.job import Rollouts, TrainingJob
from roundsmith.training.result import TrainingResult


class TrainingArithmetic(Settings):
    """What a trained weight depends on beside rows, model and settings; in the key of a
    checkpoint.
    """

    device: Literal["cpu", "cuda"]
    threads: int = Field(gt=0)
    """Of one process."""
    processes: int = Field(1, gt=0)
    """Over all machines."""
    bfloat16_units: bool | None = None
    """Whether the CPU has them, where the machine is known before the training."""
    processor: str | None = None
    """Vendor and vector instructions of the CPU that computes, where it is known so too."""
    torch: str | None = None
    """The version that computes, where it is known before; so of the next."""
    transformers: str | None = None
    image: str | None = None
    """What the pods run from, where pods train; it holds their versions."""
    environment: str | None = None
    """What variables ask of the arithmetic, where they do and that is known before."""

    def key(self) -> dict[str, str | int | None]:
        """What it adds to the key of a checkpoint."""
        told = {"environment": self.environment, "image": self.image, "processor": self.processor}
        unknown = {name for name, value in told.items() if value is None}
        return self.model_dump(mode="json", exclude=unknown)


class StoredTraining(Settings):
    """A training whose rows and model lie in a store, and whose checkpoint goes there."""

    name: str = Field(pattern="[0-9a-f]{64}")
    """The hash of all that the trained weights depend on."""
    store: str
    """The URL of the store."""
    rows: tuple[ObjectRef, ...] = Field(min_length=1)
    tasks: tuple[ObjectRef, ...] = ()
    """The tasks whose tests reward the completions of grpo."""
    model: FolderRef
    stage: Stage
    steps: int = Field(0, ge=0)
    """Optimizer steps instead of the stage's epochs; 0 counts epochs."""
    seed: int = Field(ge=0, lt=2**32)
    arithmetic: TrainingArithmetic
    trust_remote_code: bool = False
    checkpoint_every_steps: int = Field(50, ge=0)
    """Changes nothing in the result."""
    rollouts: Rollouts | None = None
    """The services that grpo samples and judges with, where they are known before it starts."""

    @classmethod
    def parse(cls, text: bytes, path: str) -> "StoredTraining":
        """The request in a JSON text; `path` is named in the ConfigError where it is none."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ConfigError(
                f"{path}: expected the request of a training, saw {error}: train with the image "
                "that asked for it"
            ) from error

    def fetch(self, model: Path, out: Path) -> TrainingJob:
        """The request as a job of this machine in the folder `out`, with rows and model fetched:
        the model to `model`.
        """
        store = Store(self.store)
        rows = [store.fetch(ref, out / f"rows-{i}.parquet") for i, ref in enumerate(self.rows)]
        tasks = [store.fetch(ref, out / f"tasks-{i}.parquet") for i, ref in enumerate(self.tasks)]
        model.parent.mkdir(parents=True, exist_ok=True)
        return TrainingJob(
            model=store.fetch_folder(self.model, model),
            trust_remote_code=self.trust_remote_code,
            rows=tuple(rows),
            tasks=tuple(tasks),
            rollouts=self.rollouts,
            out=out,
            max_steps=self.steps,
            seed=self.seed,
            device=self.arithmetic.device,
            num_threads=self.arithmetic.threads,
            checkpoint_every_steps=self.checkpoint_every_steps,
            **self.stage.model_dump(),
        )


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A finished training: its checkpoint in the store, and what it says of itself."""

    folder: FolderRef
    result: TrainingResult
    loss: tuple[tuple[int, float], ...]
    """Of every step: its number from 1, and the loss in nats."""
    processes: int = 1
    """Of all machines that took part until the end."""
    seconds: float = 0.0
    """That its steps took, whoever asked for it and however often it was gone on with."""
    earlier_cpu_s: float = 0.0
    """CPU seconds of the trainings' own processes before it was asked for, up to the checkpoint
    that it went on from; 0 where the platform sees none.
    """


StoredResultJson = TypeAdapter(StoredResult)
"""Between a StoredResult and its JSON."""
