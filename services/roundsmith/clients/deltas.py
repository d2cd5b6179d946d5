"""Deltas of one completion that may be begun again in the middle: each token is told once."""

from roundsmith.types import CompletionDelta


class DeltasOf:
    """What was told of a completion, and how far its present drawing has come."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._text = ""
        self._drawn_text = ""

    def new(self, delta: CompletionDelta) -> CompletionDelta | None:
        """What of a delta is not told yet, or None. One that differs from what was told is told
        whole: its offset, smaller than what was told, says so.
        """
        ids, offset = delta.token_ids, delta.offset
        self._drawn_text = delta.text if offset == 0 else self._drawn_text + delta.text
        known = tuple(self._ids[offset : offset + len(ids)])
        if ids == known:
            return None
        seen, before = len(known), self._text
        self._ids[offset:] = ids
        self._text = self._drawn_text
        if ids[:seen] != known or not self._drawn_text.startswith(before):
            return delta
        return CompletionDelta(
            delta.index,
            offset + seen,
            ids[seen:],
            delta.logprobs[seen:],
            self._drawn_text[len(before) :],
        )
