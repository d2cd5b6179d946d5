"""A folder that is handed over whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.storage import storage_errors


@contextmanager
def filled(out: Path) -> Iterator[None]:
    """What is written meanwhile to a folder that is empty or not there; after an error nothing of
    it is left, so that the same command can be given again.

    Raises ConfigError when there is something at the place, StoreError where it can not be written,
    such as on a full disk.
    """
    if out.is_file() or (out.exists() and any(out.iterdir())):
        raise ConfigError(f"--out {out}: expected an empty folder, saw files: name another")
    try:
        with storage_errors(str(out)):
            yield
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
