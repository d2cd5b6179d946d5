"""Rows of a task file: JSONL, a JSON array or Parquet, gzipped or not, told apart by content."""

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundsmith.benchmarks.problems import BadField, Problem, shown
from roundsmith.errors import ConfigError

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RawRow:
    """The fields of one row as the file has them, unchecked."""

    line: int
    fields: Fields


def read_rows(path: Path) -> Iterator[RawRow | Problem]:
    """The rows in the file's order; a row that is no JSON object comes as its Problem.

    Raises ConfigError when the file is not there or can not be read as a whole.
    """
    if not path.is_file():
        raise ConfigError(
            f"{path}: saw no such file, expected one of rows (JSONL, a JSON array or Parquet, .gz "
            "allowed); tasks may be the word `lab`, too"
        )
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path}: saw {error}, expected a readable or whole gzip file") from error
    content = content.removeprefix(codecs.BOM_UTF8)
    if content.startswith(PARQUET):
        return _parquet(path, content)
    if content.lstrip()[:1] == b"[":
        return _array(path, content)
    return _lines(path, content)


def _lines(path: Path, content: bytes) -> Iterator[RawRow | Problem]:
    for line, text in enumerate(io.BytesIO(content), start=1):
        if text.strip():
            yield _decoded(path, line, text)


def _decoded(path: Path, line: int, text: bytes) -> RawRow | Problem:
    try:
        return _row(line, json.loads(text))
    except (ValueError, RecursionError) as error:
        what = f"{shown(text.decode('utf-8', 'replace'), 40)} ({error})"
        return Problem(path.name, line, "", what, "one JSON object a line, in UTF-8")
    except BadField as bad:
        return bad.at(path.name, line)[0]


def _array(path: Path, content: bytes) -> Iterator[RawRow | Problem]:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: saw {error}, expected a JSON array of task rows") from error
    for line, value in enumerate(values, start=1):
        try:
            yield _row(line, value)
        except BadField as bad:
            yield from bad.at(path.name, line)


def _row(line: int, value: object) -> RawRow:
    if not isinstance(value, dict):
        raise BadField("", f"{type(value).__name__} {shown(value, 40)}", "a JSON object")
    return RawRow(line, value)


def _parquet(path: Path, content: bytes) -> Iterator[RawRow]:
    import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
    import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types

    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"{path}: saw {error}, expected a Parquet file") from error
    for line, fields in enumerate(table.to_pylist(maps_as_pydicts="strict"), start=1):
        yield RawRow(line, _without_nulls(fields))


def _without_nulls(value: Any) -> Any:
    """A Parquet struct carries every member; the null ones are those that a row leaves out."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
