"""What a supervisor may report of a run. One that an enemy took over may say anything: what no
honest one says is refused here, before it is read as an outcome.
"""

import math

from roundsmith.sandbox.codec import CodecError
from roundsmith.sandbox.events import Event, unpack_events
from roundsmith.sandbox.runs import LOADING, Run


class Report:
    """The events of one run as they come: cells in order, each once, and some progress in all."""

    def __init__(self, run: Run) -> None:
        self._num_cells = len(run.cells)
        self._cell = LOADING - 1
        self._decided = False

    def batch(self, frame: bytes) -> tuple[bool, list[Event]]:
        """Whether the run is over, and the frame's events. Raises CodecError."""
        last, events = unpack_events(frame)
        for event in events:
            self._take(event)
        if last and not self._decided:
            raise CodecError("the run ended before anything was decided")
        return last, events

    def _take(self, event: Event) -> None:
        cell, what, _, _, cpu_s, wall_s = event
        if not self._cell < cell < self._num_cells:
            raise CodecError(f"cell {cell} after cell {self._cell} of {self._num_cells}")
        if not (0 <= cpu_s < math.inf and 0 <= wall_s < math.inf):
            raise CodecError(f"cell {cell} took {cpu_s} and {wall_s} seconds")
        self._cell = cell
        self._decided = cell != LOADING or what != "answer" or not self._num_cells
