"""How a model is fine-tuned: what a recipe chooses and a training job carries out.

Defaults are GiFT's (arXiv 2502.11466, released code): AdamW, linear warm-up and decay.
"""

from typing import Literal

from pydantic import Field

from roundsmith.config import Settings


class Stage(Settings):
    """One training stage of a recipe, whatever its rows, model and machine."""

    objective: Literal["sft"] = "sft"
    epochs: float = Field(2.0, gt=0)
    learning_rate: float = Field(2e-5, gt=0)
    batch_size: int = Field(128, gt=0)
    """Rows of one optimizer step, over all processes."""
    micro_batch_size: int = Field(16, gt=0)
    """Rows of one forward pass at most; the result depends on it only by rounding."""
    warmup_steps: int = Field(30, ge=0)
    warmup_start_ratio: float = Field(0.25, ge=0, le=1)
    """The first step's learning rate, as a part of `learning_rate` (GiFT: 5e-6 of 2e-5)."""
    weight_decay: float = Field(0.05, ge=0)
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_epsilon: float = Field(1e-6, gt=0)
    max_grad_norm: float = Field(1.0, gt=0)
    max_length: int = Field(1536, gt=1)
    """Tokens of prompt, completion and end token; a longer row is dropped and counted."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the arithmetic; weights and optimizer are float32. `auto` is float32 below 50 M
    parameters.
    """
    gradient_checkpointing: bool = False
    """Less memory for about a fifth more time."""
