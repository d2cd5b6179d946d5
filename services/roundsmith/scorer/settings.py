"""What a person configures about the scorer."""

from pydantic import Field

from roundsmith.models.settings import ModelSettings

_CPU_TOKENS, _GPU_TOKENS = 512, 8192
_BLOCKS = 32


class ScorerSettings(ModelSettings):
    """The scoring model, and how much of it is done at once.

    Model, dtype, device, threads and `forward_tokens` are part of a number.
    """

    forward_tokens: int = Field(default=0, ge=0)
    """Tokens of one forward pass, always as many; 0 is 512 on a CPU and 8192 on a GPU."""
    linger_s: float = Field(default=0.005, ge=0)
    """How long a pass that is not full waits for more."""
    max_waiting: int = Field(default=16384, ge=1)
    """Items that may wait; more are refused with a time to retry after."""
    prefix_bytes: int = Field(default=256 * 2**20, ge=0)
    """Keys and values kept of prompts that were scored before, at most; on a GPU beside those of
    two passes.
    """

    def tokens(self, device: str) -> int:
        """Tokens of one forward pass on a torch device."""
        return self.forward_tokens or (_CPU_TOKENS if device == "cpu" else _GPU_TOKENS)

    def block(self, device: str) -> int:
        """Where a text may be cut between two passes: at multiples of so many tokens.

        So little of a pass is left free by a text that does not fit; it is part of a number too.
        """
        return max(1, self.tokens(device) // _BLOCKS)
