"""The checkpoint that a service was last told to serve, recorded where one that starts later finds
it.
"""

import json
from dataclasses import asdict, dataclass

from roundsmith.errors import StoreError
from roundsmith.storage import read_file, replace_file


@dataclass(frozen=True, slots=True)
class Recorded:
    """A checkpoint under the storage root, and its weight version."""

    uri: str
    sha256: str


class WeightsRecord:
    """A small JSON file at a URL, replaced whole. Every replica of a service has the same one, and
    no other service has it.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self) -> Recorded | None:
        """What is recorded, or None. Raises StoreError for a file that is something else."""
        if (text := read_file(self._url)) is None:
            return None
        try:
            return Recorded(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"{self._url}: expected the record of a checkpoint (uri, sha256), saw "
                f"{text[:80]!r}: remove the file, or name another with --weights-record"
            ) from error

    def write(self, recorded: Recorded) -> None:
        """Record a checkpoint, where another or none is: what another replica wrote meanwhile is
        known by looking only.
        """
        text = json.dumps(asdict(recorded)).encode()
        if read_file(self._url) != text:
            replace_file(self._url, text)
