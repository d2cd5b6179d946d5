"""Rows in Parquet files: equal rows give equal bytes, and neither side holds more than one row
group.

Bytes are equal under one version of Arrow, whose name every file carries.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types

from roundsmith.errors import StoreError
from roundsmith.store.kinds import RowKind
from roundsmith.store.manifest import ObjectRef
from roundsmith.store.reading import reader
from roundsmith.store.sink import HashingFile, synced

RowT = TypeVar("RowT")

KIND_KEY = b"roundsmith.kind"
VERSION_KEY = b"roundsmith.schema_version"


class RowWriter(Generic[RowT]):
    """Writes rows to a file as Parquet, row group by row group; a context that completes the
    file.
    """

    def __init__(self, kind: RowKind[RowT], sink: HashingFile) -> None:
        self.kind = kind
        self.num_rows = 0
        self._sink = sink
        self._pending: list[dict[str, Any]] = []
        named = {KIND_KEY: kind.name.encode(), VERSION_KEY: str(kind.version).encode()}
        self._schema = kind.schema.with_metadata(named)
        self._writer = pq.ParquetWriter(
            sink, self._schema, version="2.6", compression="zstd", compression_level=3
        )

    def add(self, row: RowT) -> None:
        """Append a row. Raises StoreError for text that is not Unicode or a value without a
        codec.
        """
        self._pending.append(self.kind.encode(row))
        self.num_rows += 1
        if len(self._pending) == self.kind.rows_per_group:
            self._flush()

    @property
    def ref(self) -> ObjectRef:
        """What was written; to be read after the context's end."""
        assert not self._writer.is_open, "the file is not complete"
        return ObjectRef(
            self._sink.sha256.hexdigest(), self.kind.name, self.num_rows, self._sink.num_bytes
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._pending:
                self._flush()
        except BaseException:
            self._sink.discard()
            raise
        finally:
            if kind is not None:
                self._sink.discard()
            self._close()

    def _close(self) -> None:
        try:
            self._writer.close()
        except StoreError:
            # A full disk. Arrow closes again when the writer is freed: into nothing, this time.
            self._sink.discard()
            self._writer.close()
            raise

    def _flush(self) -> None:
        try:
            table = pa.Table.from_pylist(self._pending, schema=self._schema)
        except (UnicodeEncodeError, pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            first = self.num_rows - len(self._pending)
            raise StoreError(
                f"{self.kind.name} rows {first} to {self.num_rows - 1}: expected text of valid "
                f"Unicode and integers of 64 bits, saw {error}: repair or leave out the row"
            ) from error
        self._writer.write_table(table, row_group_size=len(self._pending))
        self._pending.clear()


def write_file(kind: RowKind[RowT], path: Path, rows: Iterable[RowT]) -> int:
    """Write rows to a local Parquet file, which appears whole or not at all; the number of rows."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with synced(partial) as sink, RowWriter(kind, sink) as writer:
            for row in rows:
                writer.add(row)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return writer.num_rows


def read_file(kind: RowKind[RowT], path: Path) -> Iterator[RowT]:
    """The rows of a local Parquet file, one row group in memory at a time.

    Raises StoreError when the file is no Parquet, of another kind or of a later schema version.
    """
    try:
        with pq.ParquetFile(path) as file:
            _check(kind, path, file.schema_arrow.metadata or {})
            for group in range(file.num_row_groups):
                yield from _rows(kind, file.read_row_group(group))
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"{path}: expected a Parquet file of {kind.name} rows, saw {error}: write it again"
        ) from error


def search_file(
    kind: RowKind[RowT],
    path: Path,
    columns: Sequence[str],
    wanted: Callable[[dict[str, Any]], bool],
) -> Iterator[RowT]:
    """The rows of a local Parquet file that `wanted` says yes to, which is asked with these columns
    alone (dots lead into nested ones); only a row group with such a row is read whole.
    """
    with pq.ParquetFile(path) as file:
        _check(kind, path, file.schema_arrow.metadata or {})
        for group in range(file.num_row_groups):
            narrow = file.read_row_group(group, columns=list(columns)).to_pylist()
            places = [place for place, row in enumerate(narrow) if wanted(row)]
            if places:
                yield from _rows(kind, file.read_row_group(group).take(places))


def read_columns(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """These columns of the rows of a local Parquet file, one row group in memory at a time."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group, columns=list(columns)).to_pylist()


def _rows(kind: RowKind[RowT], table: pa.Table) -> Iterator[RowT]:
    read = reader(kind.row)
    for batch in table.to_batches():
        yield from read(batch.to_struct_array())


def _check(kind: RowKind[Any], path: Path, metadata: dict[bytes, bytes]) -> None:
    name, version = metadata.get(KIND_KEY, b"none").decode(), int(metadata.get(VERSION_KEY, b"0"))
    if name != kind.name:
        raise StoreError(
            f"{path}: expected rows of kind {kind.name}, saw {name}: give a file of that kind"
        )
    if version != kind.version and version not in kind.still_read:
        raise StoreError(
            f"{path}: expected {kind.name} rows of schema version {kind.version}, saw {version}: "
            "read it with the release of Roundsmith that wrote it"
        )
