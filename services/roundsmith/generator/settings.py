"""What a person configures about the generator's engines."""

from typing import Literal

from pydantic import Field

from roundsmith.models.settings import ModelSettings


class GeneratorSettings(ModelSettings):
    """The `transformers` engine: the served model, and how its sequences are batched."""

    slots: int = Field(default=32, ge=1)
    """Sequences decoded at once. Part of what makes a sample repeatable: keep it the same."""
    prefill_rows: int = Field(default=0, ge=0)
    """Prompts computed together; 0 is 8 for a small model and on a GPU,
    else 1. Part of a sample, like slots."""
    bucket_tokens: int = Field(default=32, ge=1)
    """Tokens of a page of keys and values: a row's length is rounded up to a multiple of this."""
    max_waiting: int = Field(default=8192, ge=1)
    """Completions that may wait for a slot; more are refused with a time to retry after."""
    max_adapters: int = Field(default=8, ge=0)
    """Adapters that may be loaded at once."""


class VllmSettings(ModelSettings):
    """The `vllm` engine."""

    slots: int = Field(default=256, ge=1)
    """Sequences decoded at once."""
    max_waiting: int = Field(default=8192, ge=1)
    """Completions that may wait for a slot; more are refused with a time to retry after."""
    tensor_parallel: int = Field(default=1, ge=1)
    """Devices that the model is spread over."""
    quantization: str | None = None
    """A method that vLLM knows, such as `fp8`; none is what the folder says."""
    kv_cache_gib: float = Field(default=0.0, ge=0)
    """Memory for keys and values; 0 is what `memory_share` leaves, and 1 GiB on a CPU."""
    memory_share: float = Field(default=0.9, gt=0, le=1)
    """Share of a GPU's memory that the engine takes."""
    max_adapters: int = Field(default=0, ge=0)
    """Adapters that may be loaded at once; 0 loads none, and computes a little faster."""
    max_adapter_rank: Literal[8, 16, 32, 64, 128, 256, 512] = 64
    reproducible: bool = True
    """Batch-invariant arithmetic, where the device has it: slower, and the same seed gives the same
    sample."""
