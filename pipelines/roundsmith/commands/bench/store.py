"""The store, beside pyarrow alone with the same columns and the same compression."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types

from roundsmith.bench import BenchResult
from roundsmith.commands.bench.growth import growth
from roundsmith.commands.bench.turns import in_turns
from roundsmith.hashing import content_hash
from roundsmith.store import EXAMPLES, Manifest, ObjectRef, Store
from roundsmith.types import Example, Provenance, Sampling

FILE_MB = 64
TIMES = 10
"""How much more of the same is written, found and read to see how time grows."""


def measure(
    num_rows: int = 20_000, file_mb: int = FILE_MB, num_shards: int = 100, turns: int = 5
) -> list[BenchResult]:
    """Rows written and read a second, bytes of a model folder stored, and by which power the CPU
    time of rows and of finished shards grows with their number.

    The peer holds ready columns, and neither hashes nor syncs: the ratios tell what typed rows,
    checked content and a commit that survives a power cut cost.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [
            *_rows(folder, num_rows, turns),
            _bytes(folder, file_mb, turns),
            *_growth(folder / "growth", num_rows, num_shards),
        ]


def _rows(folder: Path, num_rows: int, turns: int) -> list[BenchResult]:
    rows = [_example(number) for number in range(num_rows)]
    columns = [EXAMPLES.encode(row) for row in rows]
    store, plain = Store(str(folder / "store")), folder / "plain.parquet"
    kept: list[ObjectRef] = []

    def write() -> None:
        shutil.rmtree(folder / "store/objects", ignore_errors=True)  # what is kept is not rewritten
        kept[:] = [store.write_rows(EXAMPLES, rows)]

    def write_plainly() -> None:
        table = pa.Table.from_pylist(columns, schema=EXAMPLES.schema)
        pq.write_table(table, plain, compression="zstd", compression_level=3)

    def read() -> int:
        return sum(1 for _ in store.read_rows(EXAMPLES, kept[0]))

    def read_plainly() -> list[dict[str, Any]]:
        columns_read: list[dict[str, Any]] = pq.read_table(plain).to_pylist()
        return columns_read

    size = f"{num_rows} examples"
    peer = "plain pyarrow"
    return [
        in_turns(f"write {size}", num_rows, "rows/s", write, peer, write_plainly, turns),
        in_turns(f"read {size}", num_rows, "rows/s", read, peer, read_plainly, turns),
    ]


def _bytes(folder: Path, file_mb: int, turns: int) -> BenchResult:
    model, target = folder / "model", folder / "copy"
    model.mkdir()
    (model / "model.safetensors").write_bytes(os.urandom(2**20) * file_mb)
    store = Store(str(folder / "folders"))

    def put() -> None:
        shutil.rmtree(folder / "folders/objects", ignore_errors=True)
        store.put_folder(model)

    def copy() -> None:
        shutil.copyfile(model / "model.safetensors", target)
        with target.open("rb") as stream:
            os.fsync(stream.fileno())

    case = f"store a model folder of {file_mb} MB"
    return in_turns(case, file_mb, "MB/s", put, "copy and sync", copy, turns)


def _growth(folder: Path, num_rows: int, num_shards: int) -> list[BenchResult]:
    def rows(number: int) -> None:
        store = Store(str(folder / f"{number}-rows"))
        ref = store.write_rows(EXAMPLES, map(_example, range(number)))
        assert sum(1 for _ in store.read_rows(EXAMPLES, ref)) == number

    def shards(number: int) -> None:
        store = Store(str(folder / f"{number}-shards"))
        keys = [content_hash(shard) for shard in range(number)]
        for shard, key in enumerate(keys):
            ref = store.write_rows(EXAMPLES, (_example(shard),))
            store.commit(Manifest("bench", key, (ref,)))
        assert all(store.find("bench", key) for key in keys)

    return [
        _grown("writing and reading {} examples", rows, num_rows),
        _grown("committing and finding {} shards", shards, num_shards),
    ]


def _grown(case: str, work: Callable[[int], None], amount: int) -> BenchResult:
    """CPU time, because what the disk takes is not ours; what is done once is done before."""
    work(1)
    few, many = (_cpu_s(work, number) for number in (amount, amount * TIMES))
    named = f"CPU time of {case.format(f'{amount} to {amount * TIMES}')}"
    return growth(named, many / few, TIMES)


def _cpu_s(work: Callable[[int], None], number: int) -> float:
    begun = time.process_time()
    work(number)
    return time.process_time() - begun


def _example(number: int) -> Example:
    body = f"    total = {number}\n" + "    total = total + values[0] * 2\n" * (number % 9)
    return Example(
        content_hash(number),
        f'def solve_{number}(values):\n    """Sum up {number} and the first value."""\n',
        body + "    return total\n",
        Provenance(f"task/{number}", "gift", 1, "0" * 64, number, Sampling(128), ("1" * 64,)),
    )
