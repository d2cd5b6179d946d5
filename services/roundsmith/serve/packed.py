"""Results of one item, the newest as they came, all others encoded: a message in memory takes ten
times what it takes encoded, and an item may have a million.
"""

from typing import Any, Generic, Protocol, TypeVar

_NEWEST = 256
"""Who follows an item is hardly ever further behind, so that little is decoded again."""


class Encodable(Protocol):
    """A message."""

    def SerializeToString(self) -> bytes: ...


Result = TypeVar("Result", bound=Encodable)


class PackedResults(Generic[Result]):
    """A list that only grows. `num_bytes` is the size of what is encoded."""

    def __init__(self) -> None:
        self._results: list[Result | bytes] = []
        self._num_packed = 0
        self._kinds: list[Any] = []
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, at: int) -> Result:
        found = self._results[at]
        if not isinstance(found, bytes):
            return found
        message: Result = self._kinds[found[0]].FromString(found[1:])
        return message

    def append(self, result: Result) -> None:
        """Adds one, and encodes the one that is not among the newest any more."""
        self._results.append(result)
        if len(self._results) - self._num_packed > _NEWEST:
            self._pack_next()

    def pack(self) -> None:
        """Encodes all, when the item is done."""
        while self._num_packed < len(self._results):
            self._pack_next()

    def _pack_next(self) -> None:
        result = self._results[self._num_packed]
        assert not isinstance(result, bytes), "what is packed is not packed again"
        kind = type(result)
        if kind not in self._kinds:
            self._kinds.append(kind)
        packed = bytes((self._kinds.index(kind),)) + result.SerializeToString()
        self._results[self._num_packed] = packed
        self._num_packed += 1
        self.num_bytes += len(packed)
