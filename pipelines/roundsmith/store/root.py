"""Files under one fsspec root: whole or absent, and for commits the first writer wins.

On a local folder a file is written under a temporary name, synced and moved; a commit is a hard
link, which fails when the name is taken. Elsewhere one put is atomic, and a commit is fsspec's
conditional put (`mode="create"`; on S3 `If-None-Match`), tried out before the first one: storage
that overwrites is refused. Where a file system of fsspec has no such put, it checks and then
writes: two writers at the same instant may both succeed, the later one staying, which is harmless
where a step is bitwise repeatable.
"""

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roundsmith.errors import ConfigError, Corrupt, StoreError
from roundsmith.hashing import file_sha256
from roundsmith.leftovers import partial_name, sweep
from roundsmith.storage import (
    CHUNK_BYTES,
    FULL,
    create_file,
    download,
    is_local,
    open_storage,
    refuse_overwriting,
    scheme_of,
    storage_errors,
)
from roundsmith.store.ages import moment, now

_PROOF = "conditional-put"
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


class Root:
    """A storage root: a folder, or any fsspec URL such as `s3://bucket/prefix` or
    `gs://bucket/prefix`.
    """

    def __init__(self, url: str) -> None:
        self._fs, self._base = open_storage(url)
        self._scheme = scheme_of(url)
        self.local = is_local(self._fs)
        self._proved = False
        self.scratch = Path(self._base, "tmp") if self.local else Path(tempfile.gettempdir())
        if self.local:
            with storage_errors(url):
                self.scratch.mkdir(parents=True, exist_ok=True)
                sweep(self.scratch, private=False)
        else:
            sweep(self.scratch, private=True)

    def url(self, name: str) -> str:
        """Where a name is, for messages."""
        return self._shown(self._path(name))

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None when there is none."""
        return self._size(self._path(name))

    def read(self, name: str) -> bytes | None:
        """A small file's bytes, or None when there is none."""
        with storage_errors(self.url(name)):
            try:
                return bytes(self._fs.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, sorted; none when there is no folder."""
        with storage_errors(self.url(folder)):
            try:
                paths = self._fs.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in paths)

    def files(self, folder: str) -> Iterator[tuple[str, int, float]]:
        """Name, bytes and age in seconds of the files in a folder, by the storage's own clock; none
        when there is no folder. One that the storage does not date counts as written now.
        """
        with storage_errors(self.url(folder)):
            try:
                found = self._fs.ls(self._path(folder), detail=True)
            except FileNotFoundError:
                return
            today = now(self._fs, self._base) if found else 0.0
        for entry in found:
            if entry["type"] == "file":
                name = str(entry["name"]).rsplit("/", 1)[-1]
                written = moment(entry)
                yield name, int(entry["size"]), 0.0 if written is None else today - written

    def age_s(self, name: str) -> float:
        """Seconds since a file was written, by the storage's own clock; 0 for one that it does not
        date, or that is not there.
        """
        with storage_errors(self.url(name)):
            try:
                written = moment(self._fs.info(self._path(name)))
            except FileNotFoundError:
                return 0.0
            return 0.0 if written is None else now(self._fs, self._base) - written

    def publish(self, partial: Path, name: str) -> None:
        """Make a complete local file appear under `name`, replacing what is there.

        Where the root is a folder it must be one of `scratch`, which is moved.
        """
        with storage_errors(self.url(name)):
            if not self.local:
                self._fs.put_file(str(partial), self._path(name))
                return
            target = Path(self._path(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
            sync(target.parent)

    def create(self, name: str, content: bytes) -> bool:
        """Write a small file unless the name is taken; whether this call wrote it."""
        path = self._path(name)
        with storage_errors(self.url(name)):
            if self.local:
                return self._link(Path(path), content)
            if not self._proved:
                refuse_overwriting(self._fs, self._path(_PROOF))
                self._proved = True
            return create_file(self._fs, path, content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with storage_errors(self.url(name)):
            try:
                self._fs.rm_file(self._path(name))
            except FileNotFoundError:
                return

    def copy(self, name: str, url: str) -> None:
        """Copy a file to a URL of the same file system, on the server; one of its size is kept.

        Raises ConfigError for a URL of another file system, StoreError when there is no such file.
        """
        if scheme_of(url) != self._scheme:
            raise ConfigError(
                f"{url}: expected a URL of the file system of {self._shown(self._base)}, saw "
                "another: name one there"
            )
        target = str(self._fs._strip_protocol(url))
        with storage_errors(url):
            if (size := self.size(name)) is None:
                raise StoreError(
                    f"{self.url(name)}: expected a file to copy, saw none: remove the manifest "
                    "that names it and run again, it is made anew"
                )
            if self._size(target) == size:
                return
            if self.local:
                copy_whole(Path(self._path(name)), Path(target))
            else:
                self._fs.cp_file(self._path(name), target)

    @contextmanager
    def verified(self, name: str, sha256: str) -> Iterator[Path]:
        """A local file with the bytes of `name`, whose hash was checked. Raises StoreError when
        it does not hold.
        """
        if not self.local:
            with self.partial() as copy:
                self.fetch(name, sha256, copy)
                yield copy
            return
        path = Path(self._path(name))
        with storage_errors(self.url(name)):
            try:
                seen = file_sha256(path)
            except FileNotFoundError as error:
                raise self._broken(name, sha256, "saw no such file") from error
        self._check(name, sha256, seen)
        yield path

    def fetch(self, name: str, sha256: str, target: Path) -> None:
        """Copy a file to a local one, checked; a failure may leave a part of it. Raises StoreError
        when its hash is not this.
        """
        with storage_errors(self.url(name)):
            try:
                seen = download(self._fs, self._path(name), target)
            except FileNotFoundError as error:
                raise self._broken(name, sha256, "saw no such file") from error
            except OSError as error:
                if error.errno in FULL:  # where the copy goes, not here
                    with storage_errors(str(target.parent)):
                        raise
                raise
        self._check(name, sha256, seen)

    @contextmanager
    def partial(self) -> Iterator[Path]:
        """A name in `scratch` for a file under way; what is still there at the end is removed."""
        path = self.scratch / partial_name()
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
        sync(target.parent)
        return True

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"

    def _shown(self, path: str) -> str:
        return path if self.local else str(self._fs.unstrip_protocol(path))

    def _size(self, path: str) -> int | None:
        with storage_errors(self._shown(path)):
            try:
                return int(self._fs.info(path)["size"])
            except FileNotFoundError:
                return None

    def _check(self, name: str, sha256: str, seen: str) -> None:
        if seen != sha256:
            raise self._broken(name, sha256, f"saw {seen}")

    def _broken(self, name: str, sha256: str, seen: str) -> Corrupt:
        return Corrupt(
            f"{self.url(name)}: expected bytes with sha256 {sha256}, {seen}: a run that reads them "
            "makes them anew, and after `roundsmith store mend` the next one does",
            sha256,
        )


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that it appears whole under its name, or not at all."""
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with source.open("rb") as reader, partial.open("wb") as writer:
            shutil.copyfileobj(reader, writer, CHUNK_BYTES)
            writer.flush()
            os.fsync(writer.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
