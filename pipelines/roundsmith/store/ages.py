"""How old stored files are, by the storage's own clock: this machine's may be another, and either
may jump.
"""

import time
import uuid
from datetime import datetime
from typing import Any

from roundsmith.leftovers import STALE_S

RENEWED_S = STALE_S / 2
"""An object that is made again when it is so old is put again: as an orphan it would soon count as
garbage.
"""


def moment(entry: dict[str, Any]) -> float | None:
    """When a file was written, as seconds since 1970, in the words of each file system; None from
    one that does not say.
    """
    for key in ("mtime", "LastModified", "created", "updated"):
        match entry.get(key):
            case int() | float() as seconds:
                return float(seconds)
            case datetime() as found:
                return found.timestamp()
    return None


def now(system: Any, folder: str) -> float:
    """The time by the clock that dates the files of a folder: a file is put there, looked at and
    removed. This machine's clock where the file system dates none.
    """
    path = f"{folder}/clock-{uuid.uuid4().hex}"
    system.pipe_file(path, b"what time is it")
    try:
        found = moment(system.info(path))
    finally:
        system.rm_file(path)
    return time.time() if found is None else found
