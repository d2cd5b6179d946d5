"""A full disk, however the libraries of a training say it, is one message with a remedy."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roundsmith.errors import StoreError
from roundsmith.storage import FULL

EXIT_CODE = 28
"""Of a training that found no space: its log is often on the same disk and then tells nothing."""


_TORCH_WRITER = "inline_container"
_PROBE_BYTES = 2**20


class NoSpace(StoreError):
    """The disk of a training is full."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"no space left at {folder}: free space and run again, finished work is kept"
        )


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Raises NoSpace for what goes wrong within because the disk of `folder` is full."""
    try:
        yield
    except Exception as error:  # safetensors and torch raise their own, not OSError
        if not means_full(error, folder):
            raise
        raise NoSpace(folder) from error


def means_full(error: BaseException | None, folder: Path) -> bool:
    """Whether an error, or what it came from, says that a disk or a quota is full.

    torch.save says only that it could not write: then the disk of the folder is tried.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if "No space left on device" in str(error):
            return True
        if _TORCH_WRITER in str(error) and not _has_room(folder):
            return True
        error = error.__cause__ or error.__context__
    return False


def _has_room(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE_BYTES))
    except OSError as error:
        return error.errno not in FULL
    return True
