"""What storage answers when it fails, as StoreError with a remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from roundsmith.errors import StoreError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def storage_errors(path: str) -> Iterator[None]:
    """Turn an OSError about `path` into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreError(
                f"{path}: expected room to write, saw {error.strerror or error}: free space or "
                "put the storage root "
                "on a larger disk, and run again; finished shards are kept"
            ) from error
        raise StoreError(
            f"{path}: expected storage that can be read and written, saw {error}: check that the "
            "root exists, that "
            "its credentials and permissions hold, and run again; finished shards are kept"
        ) from error
