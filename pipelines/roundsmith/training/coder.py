"""A tokenizer as training uses it: exactly as the generator and the scorer do."""

from dataclasses import dataclass
from typing import Any

from roundsmith.models.rendering import encode, render
from roundsmith.types import Prompt


@dataclass(frozen=True, slots=True)
class Coder:
    """A tokenizer with what it needs to make rows: the end token, the vocabulary and the
    longest row.
    """

    tokenizer: Any
    end_id: int
    vocabulary: int
    max_length: int

    def prompt(self, prompt: Prompt) -> list[int]:
        """The token ids of a prompt, as the generator is given them."""
        return render(self.tokenizer, prompt, self.vocabulary)

    def completion(self, text: str) -> list[int]:
        """The token ids of a completion, the end token last."""
        return [*encode(self.tokenizer, text), self.end_id]
