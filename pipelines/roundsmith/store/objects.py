"""Objects: bytes named by their hash, whole or absent, checked on every read."""

import io
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from roundsmith.errors import StoreError
from roundsmith.hashing import file_sha256
from roundsmith.storage import storage_errors
from roundsmith.store.ages import RENEWED_S
from roundsmith.store.kinds import RowKind
from roundsmith.store.manifest import ObjectRef
from roundsmith.store.parquet import RowWriter, read_columns, read_file, search_file
from roundsmith.store.root import Root
from roundsmith.store.sink import synced

RowT = TypeVar("RowT")


class Objects:
    """Rows, blobs and files under one root: a folder, or any fsspec URL."""

    def __init__(self, root: str) -> None:
        self._root = Root(root)
        self.url = root

    @contextmanager
    def writer(self, kind: RowKind[RowT]) -> Iterator[RowWriter[RowT]]:
        """A context to add rows to; after its end the rows are stored and `writer.ref` is their
        object.
        """
        with self._root.partial() as partial:
            with synced(partial) as sink, RowWriter(kind, sink) as writer:
                yield writer
            self._keep(partial, writer.ref)

    def write_rows(self, kind: RowKind[RowT], rows: Iterable[RowT]) -> ObjectRef:
        """Store rows as one Parquet object; at most one row group is held in memory."""
        with self.writer(kind) as writer:
            for row in rows:
                writer.add(row)
        return writer.ref

    def read_rows(self, kind: RowKind[RowT], ref: ObjectRef) -> Iterator[RowT]:
        """The rows of one object, in order, streamed. Raises StoreError when its bytes are not what
        was written.
        """
        if ref.kind != kind.name:
            raise StoreError(
                f"object {ref.hash}: expected {kind.name} rows, saw {ref.kind}: give an object of "
                "that kind"
            )
        with self._root.verified(object_name(ref), ref.hash) as path:
            yield from read_file(kind, path)

    def search_rows(
        self,
        kind: RowKind[RowT],
        ref: ObjectRef,
        columns: Sequence[str],
        wanted: Callable[[dict[str, Any]], bool],
    ) -> Iterator[RowT]:
        """The rows of one object that `wanted` says yes to by these columns; see `search_file`."""
        with self._root.verified(object_name(ref), ref.hash) as path:
            yield from search_file(kind, path, columns, wanted)

    def read_columns(self, ref: ObjectRef, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """These columns of the rows of one object, as they are stored."""
        with self._root.verified(object_name(ref), ref.hash) as path:
            yield from read_columns(path, columns)

    def put_blob(self, content: bytes) -> ObjectRef:
        """Store bytes as they are."""
        return self._put(io.BytesIO(content))

    def get_blob(self, ref: ObjectRef) -> bytes:
        """An object's bytes, checked."""
        with self._root.verified(object_name(ref), ref.hash) as path:
            return path.read_bytes()

    def fetch(self, ref: ObjectRef, path: Path) -> Path:
        """An object as a local file, checked; it appears whole. Rows come as the Parquet file that
        was stored.
        """
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with storage_errors(str(path)):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._root.fetch(object_name(ref), ref.hash, partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return path

    def has(self, ref: ObjectRef) -> bool:
        """Whether an object is there with its size; `check` looks at its bytes."""
        return self._root.size(object_name(ref)) == ref.bytes

    def objects(self) -> Iterator[tuple[str, int, float]]:
        """Name, bytes and age in seconds of every object, whether any manifest names it or not."""
        yield from self._root.files("objects")

    def remove_object(self, sha256: str) -> None:
        """Remove an object, if it is there; whoever needs it can not be read any more."""
        self._root.remove(f"objects/{sha256}")

    def check(self, ref: ObjectRef) -> None:
        """Raises StoreError unless an object has the bytes that it is named by."""
        with self._root.verified(object_name(ref), ref.hash):
            return

    def _put_file(self, path: Path) -> ObjectRef:
        """Store a local file. What storage takes by one put goes up from where it lies: a copy of a
        model's weights may have no room.
        """
        if self._root.local:
            with path.open("rb") as stream:
                return self._put(stream)
        before = path.stat()
        ref = ObjectRef(file_sha256(path), "blob", 0, before.st_size)
        kept = self._keep(path, ref)
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            if kept:
                self.remove_object(ref.hash)
            raise StoreError(
                f"{path}: expected a file that stays as it is while it is stored, saw it change: "
                "let nobody write there, and run again"
            )
        return ref

    def _put(self, stream: IO[bytes]) -> ObjectRef:
        with self._root.partial() as partial:
            with synced(partial) as sink:
                while chunk := stream.read(2**20):
                    sink.write(chunk)
            ref = ObjectRef(sink.sha256.hexdigest(), "blob", 0, sink.num_bytes)
            self._keep(partial, ref)
        return ref

    def _keep(self, complete: Path, ref: ObjectRef) -> bool:
        """Publishes a complete file where it is needed; whether it was."""
        # An object of the right size is there already; another size is a damaged one. An old one
        # may be an orphan that garbage collection takes before this work is committed.
        needed = not self.has(ref) or self._root.age_s(object_name(ref)) > RENEWED_S
        if needed:
            self._root.publish(complete, object_name(ref))
        return needed


def object_name(ref: ObjectRef) -> str:
    """The name of an object below the root."""
    return f"objects/{ref.hash}"
