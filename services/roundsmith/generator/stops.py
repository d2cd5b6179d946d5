"""Where a completion's text ends: stop strings may begin in one token and end in another."""

from collections.abc import Sequence
from typing import Any

from roundsmith.models.rendering import decode

_UNFINISHED_TOKENS = 7
"""Tokens at the end of a text in which a character may still be begun: three, for it has four bytes
at most and a token carries at least one; the rest is for special tokens, which carry none.
"""
_FURTHER_BYTES = 3
"""Of a character, after its first."""
_NO_CHARACTER = "\ufffd"
"""What bytes are read as that are no character, or only begin one."""


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


class TextAsDrawn:
    """Tells the text of one completion piece by piece, as its tokens come.

    Held back is what may yet become another character, or a stop string. A piece is read beside the
    one before it, because some tokenizers write a space before a token only where one stands there.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self._tokenizer, self._stop = tokenizer, tuple(stop)
        self._before = self._told = 0
        self._held = ""

    def completed(self, token_ids: Sequence[int]) -> str:
        """What can be told of the completion's tokens that was not told before."""
        text, stop = self._settled(token_ids)
        if stop <= self._told:
            return ""
        known = decode(self._tokenizer, token_ids[self._before : self._told])
        self._before, self._told = self._told, stop
        pending = self._held + text[len(known) :]
        kept = _begun(pending, self._stop)
        self._held = pending[len(pending) - kept :]
        return pending[: len(pending) - kept]

    def _settled(self, token_ids: Sequence[int]) -> tuple[str, int]:
        """The text from `before` on that no token changes any more, and after which token it ends.

        That is the last one that ends a character. Where none of the last few does, their bytes
        are none, and what comes before them is told unless it is cut within a character, or within
        what begins one and is replaced as a whole.
        """
        stop = len(token_ids)
        whole = decode(self._tokenizer, token_ids[self._before :])
        if not whole.endswith(_NO_CHARACTER):
            return whole, stop
        for back in range(1, _UNFINISHED_TOKENS + _FURTHER_BYTES + 1):
            if stop - back <= self._told:
                break
            text = decode(self._tokenizer, token_ids[self._before : stop - back])
            ends = not text.endswith(_NO_CHARACTER)
            few = back < _UNFINISHED_TOKENS
            if ends or (not few and self._separable(whole, text, token_ids[-back:])):
                return text, stop - back
        return "", self._told

    def _separable(self, whole: str, text: str, after: Sequence[int]) -> bool:
        """Whether a text goes on by just what the tokens after it are alone, but for a space that
        they have only where something stands before them.
        """
        alone = decode(self._tokenizer, after)
        return whole.startswith(text) and whole[len(text) :].lstrip(" ") == alone.lstrip(" ")


def _begun(text: str, stop: Sequence[str]) -> int:
    """Characters at the end of a text that begin a stop string."""
    longest = max((len(s) - 1 for s in stop), default=0)
    for length in range(min(longest, len(text)), 0, -1):
        if any(s.startswith(text[-length:]) for s in stop):
            return length
    return 0
