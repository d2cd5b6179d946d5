"""Ctrl-C: what a command that is ended by it says."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

EXIT_CODE = 128 + signal.SIGINT


class Interruptible(TyperGroup):
    """Commands that say so when Ctrl-C ends them, each unless it did itself."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; Exit after Ctrl-C."""
        with _said("it begins anew"):
            return super().invoke(ctx)


@contextmanager
def resumable() -> Iterator[None]:
    """Ctrl-C, and SIGTERM as a node's last warning, end a command that goes on when it is run again
    in order, with exit code 130.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with _said("it goes on"):
        yield


@contextmanager
def _said(then: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        print(f"roundsmith: interrupted: run the same command again and {then}", file=sys.stderr)
        raise typer.Exit(EXIT_CODE) from error
