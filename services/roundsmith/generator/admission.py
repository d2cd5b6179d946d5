"""How much may wait, and how long what waits will take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from roundsmith.errors import Overloaded

_FIRST_S = 0.01
"""What a completion is thought to take before there was one."""


class Admission:
    """Counts the completions of an engine with so many slots that queues by itself."""

    def __init__(self, slots: int, max_waiting: int) -> None:
        self._slots, self._max_waiting = slots, max_waiting
        self._live = self._ended = 0
        self._busy_s, self._since = 0.0, 0.0

    @property
    def running(self) -> int:
        """Completions that have a slot."""
        return min(self._live, self._slots)

    @property
    def waiting(self) -> int:
        """Completions that have none."""
        return self._live - self.running

    @contextmanager
    def admitted(self, count: int) -> "Iterator[Share]":
        """The block asks for so many completions; Overloaded when too many would wait."""
        waiting = self.waiting
        if waiting and waiting + count > self._max_waiting:
            raise Overloaded(
                f"{waiting} completions wait, expected at most {self._max_waiting} with the "
                f"{count} asked for: send it again later",
                retry_after_s=self._seconds_for(waiting),
            )
        if not self._live:
            self._since = time.monotonic()
        self._live += count
        share = Share(count)
        try:
            yield share
        finally:
            self._leave(share.left)

    def ended(self, share: "Share") -> None:
        """A completion of an admitted item has come."""
        share.left -= 1
        self._ended += 1
        self._leave(1)

    def _leave(self, count: int) -> None:
        self._live -= count
        if count and not self._live:
            self._busy_s += time.monotonic() - self._since

    def _seconds_for(self, count: int) -> float:
        busy_s = self._busy_s + time.monotonic() - self._since  # it is busy where some wait
        each_s = busy_s / self._ended if self._ended else _FIRST_S
        return min(max(count * each_s, 0.5), 60.0)


@dataclass(slots=True)
class Share:
    """The completions of an item that have not come yet."""

    left: int
