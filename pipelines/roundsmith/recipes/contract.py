"""What a recipe is: settings, how it samples, what it scores, a pure choice, and how to train.

A recipe is one module with a class, named by the module's `RECIPE`. It asks services through a
`Session` and never touches files, processes or the network itself.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from roundsmith.config import Settings
from roundsmith.hashing import content_hash
from roundsmith.recipes.session import Session
from roundsmith.recipes.styles import whole_answer
from roundsmith.types import (
    ChatMessage,
    Example,
    Group,
    Limits,
    Prompt,
    Provenance,
    Row,
    Sample,
    Task,
)


class Stage(Settings):
    """One training stage. The values are GiFT's (released code): AdamW, linear warm-up and
    decay.
    """

    objective: Literal["sft"] = "sft"
    epochs: float = Field(2.0, gt=0)
    learning_rate: float = Field(2e-5, gt=0)
    batch_size: int = Field(128, gt=0)
    """Rows an optimizer step, over all processes."""
    micro_batch_size: int = Field(16, gt=0)
    warmup_steps: int = Field(30, ge=0)
    warmup_start_ratio: float = Field(0.25, ge=0, le=1)
    """The first step's learning rate as a part of `learning_rate` (GiFT: 5e-6 of 2e-5)."""
    weight_decay: float = Field(0.05, ge=0)
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_epsilon: float = Field(1e-6, gt=0)
    max_grad_norm: float = Field(1.0, gt=0)
    max_length: int = Field(1536, gt=0)
    """Tokens of a row; longer ones are dropped and counted."""


class RecipeConfig(Settings):
    """Settings that every recipe has."""

    style: Literal["auto", "completion", "chat"] = "auto"
    """`auto` is chat for a model with a chat template."""
    cpu_s: float = Field(5.0, gt=0)
    """CPU seconds that a program may take for one test (GiFT: 5 s of wall time for a program)."""
    training: Stage = Stage()


class Recipe:
    """The base of every recipe; `select` has no default."""

    Config: ClassVar[type[RecipeConfig]] = RecipeConfig
    name: ClassVar[str]

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The recipe with these settings over its defaults; pydantic's ValidationError on a bad
        one.
        """
        return cls(cls.Config.model_validate(config))

    @property
    def limits(self) -> Limits:
        """What one run of a sampled program may use."""
        return Limits(cpu_s=self.config.cpu_s)

    def check(self, tasks: Sequence[Task]) -> None:
        """Refuse training tasks that it can not work on, by ConfigError, before a model is
        loaded.
        """

    async def sample(self, task: Task, session: Session) -> Group:
        """Draw for one task and run what was drawn."""
        raise NotImplementedError

    def to_score(self, group: Group) -> Sequence[Sample]:
        """The samples whose perplexity `select` needs."""
        return ()

    def select(self, group: Group, random: Random) -> Sequence[Row]:
        """The training rows of a group: a function of its arguments alone."""
        raise NotImplementedError

    def stages(self) -> Sequence[Stage]:
        """How to train on the rows, in order."""
        return (self.config.training,)


def gold_example(task: Task, prompt: Prompt, completion: str, recipe: str) -> Example:
    """The row that imitates the task's own reference."""
    provenance = Provenance(task_id=task.task_id, recipe=recipe, round=0)
    return _example(prompt, completion, provenance)


def sample_example(prompt: Prompt, sample: Sample, group: Group) -> Example:
    """The row that imitates a sample's whole answer, under a prompt that need not be the one that
    drew it.
    """
    seen = [o for o in group.outcomes if o.code_id == sample.sample_id]
    origin = sample.provenance
    provenance = Provenance(
        task_id=origin.task_id,
        recipe=origin.recipe,
        round=origin.round,
        weights_sha256=origin.weights_sha256,
        seed=origin.seed,
        sampling=origin.sampling,
        parents=(sample.sample_id,),
        tier=seen[0].tier if seen else "",
        image=seen[0].image if seen else "",
    )
    return _example(prompt, whole_answer(sample), provenance)


def _example(prompt: Prompt, completion: str, origin: Provenance) -> Example:
    where = [origin.task_id, origin.recipe, origin.round, list(origin.parents)]
    return Example(
        content_hash("example", prompt_json(prompt), completion, where), prompt, completion, origin
    )


def prompt_json(prompt: Prompt) -> Any:
    """A prompt as a JSON value, for hashing."""
    if isinstance(prompt, str):
        return prompt
    return [[t.role, t.content] if isinstance(t, ChatMessage) else t for t in prompt]
