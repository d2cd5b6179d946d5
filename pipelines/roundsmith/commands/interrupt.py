"""The end of a command that goes on when it is run again."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def resumable() -> Iterator[None]:
    """Ctrl-C, and SIGTERM as a node's last warning, end a command that goes on when it is run again
    in order, with exit code 130.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    except KeyboardInterrupt as error:
        print("roundsmith: interrupted: run the same command again and it goes on", file=sys.stderr)
        raise typer.Exit(130) from error
