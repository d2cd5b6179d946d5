"""Files under one fsspec root: whole or absent, and for commits the first writer wins.

On a local folder a file is written under a temporary name, synced and moved; a commit is a hard
link, which fails when the name is taken. Elsewhere one put is atomic, and a commit is fsspec's
conditional put (`mode="create"`; on S3 `If-None-Match`, on GCS a generation of 0). Where a file
system has neither, a commit checks and then writes: two writers at the same instant may both
succeed, the later one staying, which is harmless where a step is bitwise repeatable.
"""

import errno
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # ships no types
from fsspec.implementations import local  # type: ignore[import-untyped]  # no types

from roundsmith.errors import StoreError
from roundsmith.store.faults import storage_errors

_CHUNK_BYTES = 2**20
_STALE_S = 24 * 3600
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


class Root:
    """A storage root: a folder, or any fsspec URL such as `s3://bucket/prefix` or
    `gs://bucket/prefix`.
    """

    def __init__(self, url: str) -> None:
        with storage_errors(url):
            self._fs, self._base = fsspec.core.url_to_fs(url)
        self._base = self._base.rstrip("/")
        self.local = isinstance(self._fs, local.LocalFileSystem)
        self.scratch = Path(self._base, "tmp") if self.local else Path(tempfile.gettempdir())
        if self.local:
            with storage_errors(url):
                self.scratch.mkdir(parents=True, exist_ok=True)
                self._sweep()

    def path(self, name: str) -> str:
        """Where a name is, for messages."""
        return f"{self._base}/{name}"

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None when there is none."""
        with storage_errors(self.path(name)):
            try:
                return int(self._fs.info(self.path(name))["size"])
            except FileNotFoundError:
                return None

    def read(self, name: str) -> bytes | None:
        """A small file's bytes, or None when there is none."""
        with storage_errors(self.path(name)):
            try:
                return bytes(self._fs.cat_file(self.path(name)))
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, sorted; none when there is no folder."""
        self._fs.invalidate_cache()
        with storage_errors(self.path(folder)):
            try:
                paths = self._fs.ls(self.path(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in paths)

    def publish(self, partial: Path, name: str) -> None:
        """Make a complete local file of `scratch` appear under `name`, replacing what is there."""
        with storage_errors(self.path(name)):
            if not self.local:
                self._fs.put_file(str(partial), self.path(name))
                return
            target = Path(self.path(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
            _sync_folder(target.parent)

    def create(self, name: str, content: bytes) -> bool:
        """Write a small file unless the name is taken; whether this call wrote it."""
        path = self.path(name)
        with storage_errors(path):
            if self.local:
                return self._link(Path(path), content)
            try:
                self._fs.pipe_file(path, content, mode="create")
            except FileExistsError:
                return False
            return True

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with storage_errors(self.path(name)):
            try:
                self._fs.rm_file(self.path(name))
            except FileNotFoundError:
                return

    @contextmanager
    def verified(self, name: str, sha256: str) -> Iterator[Path]:
        """A local file with the bytes of `name`, whose hash was checked. Raises StoreError when
        it does not hold.
        """
        with self.partial() as copy, storage_errors(self.path(name)):
            path = Path(self.path(name)) if self.local else copy
            try:
                if not self.local:
                    self._fs.get_file(self.path(name), str(copy))
                with path.open("rb") as stream:
                    seen = hashlib.file_digest(stream, "sha256").hexdigest()
            except FileNotFoundError as error:
                raise self._broken(name, sha256, "saw no such file") from error
            if seen != sha256:
                raise self._broken(name, sha256, f"saw {seen}")
            yield path

    @contextmanager
    def partial(self) -> Iterator[Path]:
        """A name in `scratch` for a file under way; what is still there at the end is removed."""
        path = self.scratch / f"roundsmith-{uuid.uuid4().hex}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _link(self, target: Path, content: bytes) -> bool:
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.partial() as partial:
            with partial.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            try:
                os.link(partial, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                if target.exists():
                    return False
                partial.replace(target)
        _sync_folder(target.parent)
        return True

    def _broken(self, name: str, sha256: str, seen: str) -> StoreError:
        return StoreError(
            f"{self.path(name)}: expected bytes with sha256 {sha256}, {seen}: remove the manifest "
            "that names it "
            "and run again, the shard is made anew"
        )

    def _sweep(self) -> None:
        """Remove what a killed writer left; a day is longer than any writer takes."""
        for leftover in self.scratch.glob("roundsmith-*"):
            try:
                if time.time() - leftover.stat().st_mtime > _STALE_S:
                    leftover.unlink()
            except FileNotFoundError:
                continue


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes, synced to disk."""
    with source.open("rb") as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer, _CHUNK_BYTES)
        writer.flush()
        os.fsync(writer.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
