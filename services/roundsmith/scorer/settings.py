"""What a person configures about the scorer."""

from pydantic import Field

from roundsmith.models.settings import ModelSettings


class ScorerSettings(ModelSettings):
    """The scoring model, and how texts are batched.

    All of it but the last two is part of a number.
    """

    bucket_tokens: int = Field(default=16, ge=1)
    """Lengths are padded up to a multiple of this."""
    forward_tokens: int = Field(default=512, ge=1)
    """Tokens of one forward pass, padding included; a bucket of length L has this // L rows."""
    linger_s: float = Field(default=0.005, ge=0)
    """How long a batch that is not full waits for more."""
    max_waiting: int = Field(default=16384, ge=1)
    """Items that may wait; more are refused with a time to retry after."""
