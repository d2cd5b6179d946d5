"""What a person configures about the `transformers` engine of the generator."""

from pydantic import Field

from roundsmith.models.settings import ModelSettings


class GeneratorSettings(ModelSettings):
    """The served model, and how its sequences are batched."""

    slots: int = Field(default=32, ge=1)
    """Sequences decoded at once. Part of what makes a sample repeatable: keep it the same."""
    prefill_rows: int = Field(default=0, ge=0)
    """Prompts computed together; 0 is 8 for a small model, else 1. Part of a sample, like slots."""
    bucket_tokens: int = Field(default=32, ge=1)
    """The attended length is rounded up to a multiple of this."""
    max_waiting: int = Field(default=8192, ge=1)
    """Completions that may wait for a slot; more are refused with a time to retry after."""
