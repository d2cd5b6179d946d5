"""A training whose disk is full says so in one line, by its own process and by the one above."""

import asyncio
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from roundsmith.training import launch
from roundsmith.training.full_disk import NoSpace, full_disk_told
from tests.pipelines.training.conftest import MakeJob
from tests.small_disk import mounted


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    with mounted(tmp_path / "small", "256k") as folder:
        yield folder


def test_a_training_that_fills_its_disk_says_so_in_one_line(make_job: MakeJob, small: Path) -> None:
    job = make_job(checkpoint_every_steps=1).model_copy(update={"out": small / "job"})
    with pytest.raises(NoSpace) as refused:
        asyncio.run(launch(job))
    assert str(refused.value) == (
        f"no space left at {small / 'job'}: free space and run again, finished work is kept"
    )


def test_a_full_disk_is_known_below_what_a_library_raises(tmp_path: Path) -> None:
    failure = RuntimeError("the library's own words")
    failure.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(NoSpace, match="free space"), full_disk_told(tmp_path):
        raise failure


def test_another_failure_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), full_disk_told(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")
    with pytest.raises(RuntimeError, match="unexpected pos"), full_disk_told(tmp_path):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 2 vs 1")
