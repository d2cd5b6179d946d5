"""Where a service may load checkpoints from: under one storage root, a folder or an fsspec URL."""

import re
import threading
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from roundsmith.errors import ConfigError, Unavailable, WeightsMismatch
from roundsmith.hashing import WEIGHT_FILES, weights_version
from roundsmith.serve.cache import WeightsCache
from roundsmith.storage import download, open_storage, scheme_of, storage_errors

_PART = re.compile(r"[^/\\?*#\[\]\x00-\x1f\x7f]+")
"""A name in a URL of storage: no wildcard, no query, no separator of another system."""


class Checkpoints(Protocol):
    """Checkpoints under a storage root, as local folders."""

    def check(self, uri: str) -> None:
        """Raises ConfigError for a URI that is not under the storage root."""

    def fetch(self, uri: str, sha256: str, served: Collection[str]) -> Path:
        """The local folder of the checkpoint at `uri`; may take long.

        `sha256` is its weight version, `served` those that are served meanwhile. Raises
        ConfigError for a URI that is refused or no checkpoint, WeightsMismatch for another version,
        StoreError when storage fails.
        """

    def close(self) -> None:
        """End a fetch that is under way, and free what is held."""


def checkpoints_under(root: str | None, cache: Path | None = None) -> Checkpoints:
    """The checkpoints of a folder, or those of a URL, copied to the folder `cache`; without a root
    every one is refused.
    """
    if root is None or scheme_of(root) == "file":
        return LocalCheckpoints(None if root is None else Path(root.removeprefix("file://")))
    return StoredCheckpoints(root, cache)


class LocalCheckpoints:
    """Folders of this machine, loaded where they are."""

    def __init__(self, root: Path | None) -> None:
        self._root = root.resolve() if root is not None else None

    def check(self, uri: str) -> None:
        self._folder(uri)

    def fetch(self, uri: str, sha256: str, served: Collection[str]) -> Path:
        return self._folder(uri)  # its version is checked when it is loaded

    def close(self) -> None:
        """Nothing is held."""

    def _folder(self, uri: str) -> Path:
        if "\0" in uri or scheme_of(uri) != "file":
            raise _outside(uri, str(self._root))
        path = Path(uri.removeprefix("file://")).resolve()
        if self._root is None or not path.is_relative_to(self._root):
            raise _outside(uri, str(self._root))
        return path


class StoredCheckpoints:
    """Folders of a URL such as `s3://bucket/prefix`: the files that the weight version covers,
    streamed to a local folder and checked before anything loads them. Code of a model is not
    covered by the version, and not fetched.
    """

    def __init__(self, root: str, cache: Path | None) -> None:
        self._system, self._base = open_storage(root)
        self._root, self._cache = root.rstrip("/"), WeightsCache(cache)
        self._closing = threading.Event()

    def check(self, uri: str) -> None:
        self._path(uri)

    def fetch(self, uri: str, sha256: str, served: Collection[str]) -> Path:
        if self._cache.find(sha256) is None:
            self._download(uri, sha256)
        self._cache.drop_others({sha256, *served})
        return self._cache.folder / sha256

    def close(self) -> None:
        self._closing.set()
        self._cache.close()

    def _download(self, uri: str, sha256: str) -> None:
        with storage_errors(uri), self._cache.adding(sha256) as folder:
            sizes = self._sizes(uri)
            self._cache.check_room(sum(sizes.values()))
            found = {
                name: download(
                    self._system, f"{self._path(uri)}/{name}", folder / name, self._proceed
                )
                for name in sizes
            }
            if (seen := weights_version(found)) != sha256:
                raise WeightsMismatch(
                    f"{uri}: its weight version is {seen}, expected {sha256}: the folder is "
                    "another one, or not completely written; name the right one"
                )

    def _sizes(self, uri: str) -> dict[str, int]:
        """Bytes of each file that the weight version covers."""
        try:
            entries = self._system.ls(self._path(uri), detail=True)
        except FileNotFoundError:
            entries = []
        files = {e["name"].rsplit("/", 1)[-1]: int(e["size"]) for e in entries if _is_file(e)}
        covered = {
            name: size
            for name, size in files.items()
            if any(fnmatchcase(name, pattern) for pattern in WEIGHT_FILES)
        }
        if not any(name.endswith(".safetensors") for name in covered):
            raise ConfigError(
                f"{uri}: expected a Hugging Face folder with *.safetensors, saw "
                f"{sorted(files)[:8] or 'no files'}: give the URI of a whole checkpoint"
            )
        return covered

    def _path(self, uri: str) -> str:
        """Where a URI is, by its text alone: storage has no `..`, and one that looks at it is
        refused.
        """
        root, parts = self._root.split("/"), uri.rstrip("/").split("/")
        below = parts[len(root) :]
        plain = all(_PART.fullmatch(part) and part not in (".", "..") for part in below)
        if parts[: len(root)] != root or not plain or "::" in uri:
            raise _outside(uri, self._root)
        return "/".join((self._base, *below))

    def _proceed(self) -> None:
        if self._closing.is_set():
            raise Unavailable("the service is shutting down, expected one that serves: ask another")


def _is_file(entry: dict[str, object]) -> bool:
    return entry["type"] == "file"


def _outside(uri: str, root: str) -> ConfigError:
    return ConfigError(
        f"{uri}: expected a folder under the storage root {root}, saw one outside: "
        "start the service with --storage-root, or put the checkpoint there"
    )
