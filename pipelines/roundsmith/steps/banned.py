"""Decontamination as Magicoder does it: a row that holds the text of a held-out task is dropped.

A text is found however its lines are broken, indented, quoted or commented out, so also in a
docstring; a paraphrase of it, or a program with other names, is not.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roundsmith.recipes.styles import reference_body
from roundsmith.types import ChatMessage, Prompt, Row, Task

SHORTEST = 24
"""Characters of a text that is looked for: shorter ones, such as `return x`, are everybody's."""

_ESCAPED_SPACE = re.compile(r"\\+[nrt]")
_UNQUOTED = str.maketrans("", "", "\"'\\#\0")


@dataclass(frozen=True, slots=True)
class Banned:
    """Plain texts that no training row may hold, by their first characters, SHORTEST of them."""

    by_start: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> "Banned":
        """The descriptions and the bodies of the references of held-out tasks."""
        bodies = (reference_body(task) for task in tasks if task.reference is not None)
        by_start: dict[str, list[str]] = {}
        for text in sorted({plain(text) for text in (*(t.description for t in tasks), *bodies)}):
            if len(text) >= SHORTEST:
                by_start.setdefault(text[:SHORTEST], []).append(text)
        return cls(by_start)

    def held_by(self, row: Row) -> str | None:
        """A banned text, plain, in the row's prompt and answers; None for none."""
        if not self.by_start:
            return None
        answers = (getattr(row, name, "") for name in ("completion", "chosen", "rejected"))
        whole = plain("\n".join((text_of(row.prompt), *answers)))
        starts = {whole[at : at + SHORTEST] for at in range(len(whole) - SHORTEST + 1)}
        found = (text for start in starts & self.by_start.keys() for text in self.by_start[start])
        return min((text for text in found if text in whole), default=None)


def plain(text: str) -> str:
    """A text in lower case, composed (NFKC), without quotes, their escapes and comment signs, its
    white space single spaces.
    """
    text = unicodedata.normalize("NFKC", text)
    spaced = _ESCAPED_SPACE.sub(" ", text) if "\\" in text else text
    return " ".join(spaced.translate(_UNQUOTED).lower().split())


def text_of(prompt: Prompt) -> str:
    """A prompt as text: what its turns say, one below the other; nothing of one in token ids."""
    if isinstance(prompt, str):
        return prompt
    return "\n".join(turn.content for turn in prompt if isinstance(turn, ChatMessage))
