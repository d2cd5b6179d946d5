"""Clocks that jump, or are not the same: nothing that is under way is taken for something old."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]  # ships no types
import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]  # none

from roundsmith.config import child_environment
from roundsmith.leftovers import sweep
from roundsmith.store import EXAMPLES, Store
from roundsmith.store.gc import garbage
from tests.pipelines.store.test_store import examples
from tests.storages import REMOTE, storage_url

DAYS = timedelta(days=2)
HALF = """
import os, sys
from roundsmith.store import Store
store = Store(sys.argv[1])
with store._root.partial() as path:
    path.write_bytes(b"half")
    os.kill(os.getpid(), 9)
"""


def test_a_file_under_way_outlives_a_clock_that_jumps_ahead(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with store.writer(EXAMPLES) as writer:
        (under_way,) = (tmp_path / "tmp").iterdir()
        os.utime(under_way, (0, 0))
        Store(str(tmp_path))
        for row in examples(3):
            writer.add(row)
    assert list(store.read_rows(EXAMPLES, writer.ref)) == examples(3)


def test_a_file_of_a_writer_that_is_gone_does_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HALF, str(tmp_path)]
    assert subprocess.run(command, env=child_environment(), check=False).returncode == -9
    (left,) = (tmp_path / "tmp").iterdir()
    Store(str(tmp_path))
    assert left.exists(), "it is young"
    os.utime(left, (0, 0))
    Store(str(tmp_path))
    assert not left.exists()


WRITING = """
import sys
from roundsmith.store import Store
with Store(sys.argv[1])._root.partial() as path:
    path.write_bytes(b"half of a shard")
    print(path, flush=True)
    sys.stdin.read()
"""
LOOKING = "import sys; from roundsmith.store import Store; Store(sys.argv[1])"


@pytest.mark.parametrize("kind", REMOTE)
def test_what_a_killed_writer_to_a_url_left_on_this_machine_goes_with_the_next_one(
    kind: str, tmp_path: Path
) -> None:
    url, scratch = storage_url(kind, tmp_path), tmp_path / "tmp"
    scratch.mkdir()
    others = scratch / "roundsmith-training", scratch / "roundsmith.toml"
    others[0].mkdir()
    others[1].touch()
    here = child_environment(TMPDIR=str(scratch))
    words = [sys.executable, "-c", WRITING, url]
    with subprocess.Popen(
        words, env=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        left = Path(writer.stdout.readline().strip())
        looks = [sys.executable, "-c", LOOKING, url]
        subprocess.run(looks, env=here, check=True)
        assert left.read_bytes() == b"half of a shard", "its writer runs"
        writer.kill()
    assert writer.returncode == -9
    assert left.exists()
    subprocess.run(looks, env=here, check=True)
    assert sorted(scratch.iterdir()) == sorted(others)


def test_what_a_writer_of_another_container_left_goes_when_it_is_a_day_old(tmp_path: Path) -> None:
    pid = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout
    left = tmp_path / f"roundsmith.{pid.strip()}.{'0' * 32}.{'1' * 32}-7.{socket.gethostname()}"
    left.touch()
    sweep(tmp_path, private=True)
    assert left.exists()
    os.utime(left, (0, 0))
    sweep(tmp_path, private=True)
    assert not left.exists()


def test_an_object_of_the_future_is_young(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    ref = store.put_blob(b"written before the clock was put back")
    os.utime(tmp_path / "objects" / ref.hash, (2**33, 2**33))
    assert garbage(store).objects == ()


class Behind(MemoryFileSystem):  # type: ignore[misc]  # ships no types
    """Storage whose clock is days behind the one of this machine."""

    protocol = "behind"

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().info(path, **options)
        return found | ({"created": found["created"] - DAYS} if "created" in found else {})

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        names = super().ls(path, detail=False, **options)
        return [self.info(name) for name in names] if detail else names


def test_storage_whose_clock_is_days_behind_keeps_what_is_under_way() -> None:
    fsspec.register_implementation("behind", Behind, clobber=True)
    store = Store("behind://bucket/clocks")
    ref = store.put_blob(b"of work under way")
    ((name, _, age_s),) = store.objects()
    assert name == ref.hash
    assert 0 <= age_s < 60
    assert garbage(store).objects == ()
    assert garbage(store, grace_s=-1).objects == (ref.hash,)


def test_an_orphan_that_is_old_by_the_storages_own_clock_is_put_again() -> None:
    fsspec.register_implementation("behind", Behind, clobber=True)
    store, written = Store("behind://bucket/renewed"), Behind.store
    ref = store.put_blob(b"of a run that was killed")
    path = next(path for path in written if path.endswith(ref.hash))
    young = written[path]
    store.put_blob(b"of a run that was killed")
    assert written[path] is young
    young.created -= DAYS
    assert garbage(store).objects == (ref.hash,)
    store.put_blob(b"of a run that was killed")
    assert written[path] is not young
    assert garbage(store).objects == ()
