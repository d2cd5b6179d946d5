"""How a model is fine-tuned: what a recipe chooses and a training job carries out.

Defaults are GiFT's (arXiv 2502.11466, released code): AdamW, linear warm-up and decay.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from roundsmith.config import Settings
from roundsmith.types.generation import MAX_TEMPERATURE, MIN_TEMPERATURE

Beta = Annotated[float, Field(ge=0, lt=1)]
"""Of Adam's running means."""


class Tuning(Settings):
    """What a person may change of a training, whatever its objective."""

    model_config = ConfigDict(allow_inf_nan=False)

    epochs: float = Field(2.0, gt=0)
    learning_rate: float = Field(2e-5, gt=0)
    batch_size: int = Field(128, gt=0)
    """Rows of one optimizer step, over all processes."""
    micro_batch_size: int = Field(16, gt=0)
    """Rows of one forward pass at most; the result depends on it only by rounding (kto excepted,
    which estimates its KL term on the rows of one forward pass, over all processes, and takes two
    of each process at least).
    """
    optimizer: Literal["adamw", "adafactor"] = "adamw"
    """`adafactor` keeps a part of AdamW's memory; its rate is `learning_rate`, not relative."""
    warmup_steps: int = Field(30, ge=0)
    warmup_start_ratio: float = Field(0.25, ge=0, le=1)
    """The first step's learning rate, as a part of `learning_rate` (GiFT: 5e-6 of 2e-5)."""
    weight_decay: float = Field(0.05, ge=0)
    adam_betas: tuple[Beta, Beta] = (0.9, 0.999)
    adam_epsilon: float = Field(1e-6, gt=0)
    max_grad_norm: float = Field(1.0, ge=0)
    """0 clips nothing."""
    max_length: int = Field(1536, gt=1)
    """Tokens of prompt, completion and end token; a longer row is dropped and counted."""
    lora_rank: int = Field(0, ge=0)
    """Train adapters of this rank on every linear layer but the head, and merge them into the
    weights at the end; 0 trains all weights.
    """
    lora_alpha: int = Field(16, gt=0)
    """The adapters' scale is this over `lora_rank`."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the arithmetic; weights and optimizer are float32. `auto` is float32 below 50 M
    parameters.
    """
    gradient_checkpointing: bool = False
    """Less memory for about a fifth more time."""
    sharded: bool = False
    """Each of several processes holds a part of weights, gradients and optimizer (FSDP2), not all
    of them; changes the result only by rounding. Not with adafactor.
    """


class PreferenceTuning(Tuning):
    """A training on preferences. The defaults of beta and of the weights are those of the DPO and
    KTO papers, the others ours.
    """

    objective: Literal["dpo", "kto"] = "dpo"
    epochs: float = Field(1.0, gt=0)
    learning_rate: float = Field(1e-6, gt=0)
    warmup_steps: int = Field(10, ge=0)
    warmup_start_ratio: float = Field(0.0, ge=0, le=1)
    weight_decay: float = Field(0.0, ge=0)
    beta: float = Field(0.1, gt=0)
    """How strongly the policy is held to the reference, the model that the stage starts from."""
    desirable_weight: float = Field(1.0, gt=0)
    """Of chosen rows in kto's loss."""
    undesirable_weight: float = Field(1.0, gt=0)
    """Of rejected rows in kto's loss."""


class GrpoTuning(Tuning):
    """A training on rewards. `batch_size` counts completions; its defaults are ours."""

    epochs: float = Field(1.0, gt=0)
    """Of the prompts."""
    learning_rate: float = Field(1e-6, gt=0)
    warmup_steps: int = Field(0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    generations: int = Field(8, gt=1)
    """Completions of a prompt, whose rewards are compared with each other."""
    temperature: float = Field(1.0, ge=MIN_TEMPERATURE, le=MAX_TEMPERATURE)
    max_tokens: int = Field(512, gt=0)
    """Of a completion."""
    beta: float = Field(0.0, ge=0)
    """Weight of the KL term to the model that the stage starts from; 0 leaves it out."""
    clip: float = Field(0.2, gt=0)
    """How far the ratio to the sampling policy may count; on policy it is 1."""


class InverseTuning(Tuning):
    """A training on self-made pairs and a corpus. Defaults are Inverse-Instruct's (arXiv
    2407.05700): Adafactor, 5e-5, 15 warm-up steps, linear decay, 512 rows, no clipping.
    """

    epochs: float = Field(2.0, gt=0)
    """Of the original corpus."""
    self_made_epochs: float = Field(1.0, gt=0)
    order: Literal["self_made_first", "corpus_first"] = "self_made_first"
    """The other order is what Table 17 compares with."""
    learning_rate: float = Field(5e-5, gt=0)
    batch_size: int = Field(512, gt=0)
    optimizer: Literal["adamw", "adafactor"] = "adafactor"
    warmup_steps: int = Field(15, ge=0)
    warmup_start_ratio: float = Field(0.0, ge=0, le=1)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(0.0, ge=0)
    max_length: int = Field(1024, gt=1)


Objective = Literal["sft", "dpo", "kto", "grpo"]
PREFERENCES = ("dpo", "kto")
"""The objectives that learn from pairs; the others learn from examples."""


class Stage(Tuning):
    """One training stage of a recipe, whatever its model and machine."""

    objective: Objective = "sft"
    part: Literal["all", "selected", "gold"] = "all"
    """Which of the round's rows: `selected` are those that the model wrote, `gold` the others."""
    beta: float = Field(0.1, ge=0)
    """Of dpo, kto and grpo; see `PreferenceTuning` and `GrpoTuning`."""
    desirable_weight: float = Field(1.0, gt=0)
    undesirable_weight: float = Field(1.0, gt=0)
    generations: int = Field(8, gt=1)
    """Of grpo, as all below: see `GrpoTuning`."""
    temperature: float = Field(1.0, ge=MIN_TEMPERATURE, le=MAX_TEMPERATURE)
    max_tokens: int = Field(512, gt=0)
    clip: float = Field(0.2, gt=0)
    cpu_s: float = Field(5.0, gt=0)
    """CPU seconds that a program may take for one test."""

    @classmethod
    def of(cls, tuning: Tuning, **chosen: str | float) -> "Stage":
        """A stage with a person's settings and what the recipe itself fixes."""
        return cls.model_validate(tuning.model_dump() | chosen)
