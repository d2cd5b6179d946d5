"""What a supervisor may report of a run. One that an enemy took over may say anything: what no
honest one says is refused here, before it is read as an outcome.
"""

import math
from typing import Any

from roundsmith.sandbox.codec import CodecError, decode
from roundsmith.sandbox.runs import LOADING, Event, Run

_KINDS = (int, str, str, bytes, float, float)


class Report:
    """The events of one run as they come: cells in order, each once, and some progress in all."""

    def __init__(self, run: Run) -> None:
        self._num_cells = len(run.cells)
        self._cell = LOADING - 1
        self._decided = False

    def batch(self, frame: bytes) -> tuple[bool, list[Event]]:
        """Whether the run is over, and the frame's events. Raises CodecError."""
        content = decode(frame, 2**31, 8)
        if not isinstance(content, tuple) or [*map(type, content)] != [bool, list]:
            raise CodecError("expected an end mark and a list of events")
        last, events = content
        for event in events:
            self._take(event)
        if last and not self._decided:
            raise CodecError("the run ended before anything was decided")
        return last, events

    def _take(self, event: Any) -> None:
        if not isinstance(event, tuple) or (*map(type, event),) != _KINDS:
            raise CodecError(f"an event that is none: {str(event)[:80]}")
        cell, what = event[:2]
        if not self._cell < cell < self._num_cells:
            raise CodecError(f"cell {cell} after cell {self._cell} of {self._num_cells}")
        if not all(math.isfinite(seconds) and seconds >= 0 for seconds in event[4:]):
            raise CodecError(f"cell {cell} took {event[4:]} seconds")
        self._cell = cell
        self._decided = cell != LOADING or what != "answer" or not self._num_cells
