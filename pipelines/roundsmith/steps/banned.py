"""Decontamination as Magicoder does it: a row that holds the text of a held-out task is dropped."""

from collections.abc import Sequence
from dataclasses import dataclass

from roundsmith.recipes.styles import reference_body
from roundsmith.types import ChatMessage, Prompt, Row, Task

SHORTEST = 24
"""Characters of a text that is looked for: shorter ones, such as `return x`, are everybody's."""


@dataclass(frozen=True, slots=True)
class Banned:
    """Texts in lower case that no training row may hold."""

    texts: tuple[str, ...] = ()

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> "Banned":
        """The descriptions and the bodies of the references of held-out tasks."""
        bodies = (reference_body(task) for task in tasks if task.reference is not None)
        texts = {text.strip().lower() for text in (*(t.description for t in tasks), *bodies)}
        return cls(tuple(sorted(text for text in texts if len(text) >= SHORTEST)))

    def held_by(self, row: Row) -> str | None:
        """A banned text in the row's prompt and answers, letter case aside; None for none."""
        if not self.texts:
            return None
        answers = (getattr(row, name, "") for name in ("completion", "chosen", "rejected"))
        whole = "\n".join((text_of(row.prompt), *answers)).lower()
        return next((text for text in self.texts if text in whole), None)


def text_of(prompt: Prompt) -> str:
    """A prompt as text: what its turns say, one below the other; nothing of one in token ids."""
    if isinstance(prompt, str):
        return prompt
    return "\n".join(turn.content for turn in prompt if isinstance(turn, ChatMessage))
