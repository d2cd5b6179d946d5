"""Progress of long work: live bars with rate and time left on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from roundsmith.steps.context import FOUND, Progress

LINE_EVERY_S = 5.0
"""How often a plain line is printed for a step at most."""
RATE_AFTER_S = 0.5
"""A rate over less time than this says nothing."""
LEFT_AFTER = 0.05
"""The share of what is to be made that tells how long the rest takes: the first of many that are
worked on at once take much longer than those after them.
"""

WIDE = 10_000
"""Columns of what is no terminal, so that nothing is cut."""


class ProgressView:
    """Shows (step, done, total, note); call it as work goes on."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._tasks: dict[str, TaskID] = {}
        self._bars = Bars(
            TextColumn("{task.description:<24}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[rate]} {task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._started: dict[str, tuple[int, float]] = {}
        self._done: dict[str, int] = {}
        self._printed: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def forget(self) -> None:
        """Begins anew: the next round's steps have the same names."""
        for task in self._tasks.values():
            self._bars.remove_task(task)
        self._tasks.clear()
        self._started.clear()
        self._done.clear()
        self._printed.clear()

    def of(self, whose: str) -> Progress:
        """The same view for steps that are done for more than one: it shows whose work it is."""
        if not whose:
            return self
        return lambda step, done, total, note: self(f"{step} ({whose})", done, total, note)

    def __call__(self, step: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        first, begun = self._started.get(step, (done, now))
        if done <= first:  # the same step once more, or its first word
            first, begun = self._started[step] = (done, now)
            self._tasks.pop(step, None)
        elif note == FOUND:
            first += done - self._done[step]
            self._started[step] = (first, begun)
        self._done[step] = done
        per_s = (done - first) / (now - begun) if now - begun >= RATE_AFTER_S else 0.0
        rate = f"{per_s:.1f}/s" if per_s else ""
        if self.console.is_terminal:
            if step not in self._tasks:
                self._tasks[step] = self._bars.add_task(step, total=total, rate="", note="")
            self._bars.update(self._tasks[step], completed=done, total=total, rate=rate, note=note)
        elif done == total or now - self._printed.get(step, 0.0) > LINE_EVERY_S:
            self._printed[step] = now
            known = per_s and done < total and done - first >= LEFT_AFTER * (total - first)
            left = f", {(total - done) / per_s:.0f} s left" if known else ""
            said = (f"{step}: {done}/{total}", rate + left, note)
            self.console.print(" ".join(filter(None, said)))


def output_console() -> Console:
    """Where results go: standard output, with tables as wide as their names where that is no
    terminal.
    """
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def error_console() -> Console:
    """Where progress and messages go: standard error, so that standard output stays clean."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
