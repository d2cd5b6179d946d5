"""Where a completion's text ends: stop strings may begin in one token and end in another."""

from collections.abc import Sequence
from typing import Any

from roundsmith.models.rendering import decode


class StopStrings:
    """Watches one completion for its stop strings."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        # a token carries at least one byte; the rest is for special tokens, which carry none in the
        # text
        self._window = max((len(s.encode("utf-8", "surrogatepass")) for s in stop), default=0) + 4

    def reached(self, token_ids: Sequence[int]) -> bool:
        """Whether the last token completed a stop string.

        Looks at the tail first, at the whole text then.
        """
        if not self._stop:
            return False
        tail = decode(self._tokenizer, token_ids[-self._window :])
        return (
            any(s in tail for s in self._stop)
            and self._cut(decode(self._tokenizer, token_ids)) is not None
        )

    def text(self, token_ids: Sequence[int]) -> str:
        """The completion's text, up to its first stop string."""
        text = decode(self._tokenizer, token_ids)
        cut = self._cut(text)
        return text if cut is None else text[:cut]

    def _cut(self, text: str) -> int | None:
        found = [at for at in (text.find(s) for s in self._stop) if at >= 0]
        return min(found, default=None)
