"""The weights that a training lets the generator serve while it samples from them: each a plain
folder at a URL that the generator may load from, and one at a time.
"""

import shutil
from pathlib import Path

from roundsmith.store.root import Root

_FOLDER = "policy"


class Policies:
    """The folder `policy` at a URL, which is one training's own."""

    def __init__(self, url: str) -> None:
        self._url, self._root = url.rstrip("/"), Root(url)

    def put(self, folder: Path, sha256: str) -> str:
        """Store a model folder of this weight version, which is gone then; its URI.

        It does not appear whole: who loads from there checks the weight version.
        """
        for path in sorted(folder.iterdir()):
            self._root.publish(path, f"{_FOLDER}/{sha256}/{path.name}")
        shutil.rmtree(folder)
        return f"{self._url}/{_FOLDER}/{sha256}"

    def keep_only(self, sha256: str) -> None:
        """Remove all others, those of a killed training included."""
        for other in set(self._root.names(_FOLDER)) - {sha256}:
            for name in self._root.names(f"{_FOLDER}/{other}"):
                self._root.remove(f"{_FOLDER}/{other}/{name}")
            if self._root.local:
                Path(self._root.url(f"{_FOLDER}/{other}")).rmdir()
