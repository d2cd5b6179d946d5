"""What a person configures about a served model."""

from typing import Literal

from pydantic import Field

from roundsmith.config import Settings


class ModelSettings(Settings):
    """Which model is served, and on what."""

    model: str
    """A Hugging Face folder, or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    trust_remote_code: bool = False
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto` is float32 for a small model and on a CPU without bfloat16 units, else bfloat16."""
    device: str = "auto"
    """A torch device; `auto` is `cuda` where there is one, else `cpu`."""
    threads: int = Field(default=0, ge=0)
    """Threads of one torch operation; 0 is 1 for a small model, else the number of CPUs.

    Part of what makes a number repeatable.
    """
    context_tokens: int = Field(default=0, ge=0)
    """Longest prompt and completion together; 0 is what the model was made for."""
