"""A folder that is handed over whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.leftovers import is_left, partial_name
from roundsmith.storage import storage_errors

_BEGIN = ".under-way."


@contextmanager
def filled(out: Path) -> Iterator[Path]:
    """Where to make a folder that becomes `out`, which is empty or not there, when the block ends
    well. After an error nothing is left, and after a kill a hidden folder that the next call
    removes, so that the same command can be given again.

    Raises ConfigError when there is something at the place, StoreError where it can not be written,
    such as on a full disk.
    """
    place = out.resolve()
    beside = place if place.is_dir() else place.parent  # one that is there may be a mount
    _remove_left(beside)
    if place.is_file() or (place.exists() and any(place.iterdir())):
        raise ConfigError(f"--out {out}: expected an empty folder, saw files: name another")
    under_way = beside / f"{_BEGIN}{partial_name()}"
    try:
        with storage_errors(str(out)):
            beside.mkdir(parents=True, exist_ok=True)
            yield under_way
            if beside != place:
                under_way.rename(place)
                return
            for path in sorted(under_way.iterdir()):
                path.rename(place / path.name)
            under_way.rmdir()
    except BaseException:
        shutil.rmtree(under_way, ignore_errors=True)
        raise


def _remove_left(folder: Path) -> None:
    for other in folder.glob(f"{_BEGIN}*"):
        if is_left(other.name.removeprefix(_BEGIN)):
            shutil.rmtree(other, ignore_errors=True)
