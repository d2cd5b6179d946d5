"""Emptying a directory that an enemy wrote."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.sandbox.scratch import empty
from roundsmith.types import CallTest, ExecuteItem, Program
from roundsmith.verdicts import Verdict


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    box, outside = tmp_path / "box", tmp_path / "outside"
    box.mkdir()
    outside.mkdir()
    (outside / "kept").write_text("x")
    (box / "file").symlink_to(outside / "kept")
    (box / "directory").symlink_to(outside)
    empty(str(box))
    assert list(box.iterdir()) == []
    assert (outside / "kept").read_text() == "x"


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    top = os.open(tmp_path, os.O_RDONLY)
    at = top
    for _ in range(1200):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        if at != top:
            os.close(at)
        at = inner
    os.close(at)
    os.close(top)
    empty(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_directories_without_permissions_are_removed(tmp_path: Path) -> None:
    (tmp_path / "closed" / "inner").mkdir(parents=True)
    (tmp_path / "closed" / "inner").chmod(0)
    (tmp_path / "closed").chmod(0)
    empty(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("launcher", ["c", "python"])
def test_one_file_of_a_long_name_is_gone_in_the_next_run(
    monkeypatch: pytest.MonkeyPatch, launcher: str
) -> None:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no tmpfs, which lists a directory itself before what is in it")
    monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")
    source = "import os\ndef f():\n    seen = os.listdir()\n    open('x' * {}, 'w').close()\n"
    lengths = (1, 188, 189, 255)
    programs = [Program(str(n), source.format(n) + "    return seen\n") for n in lengths]
    item = ExecuteItem("i", tuple(programs), (CallTest("t", "f", (), []),))

    async def verdicts() -> list[Verdict]:
        given = {"slots": 1, "highest": "T1", "launcher": launcher}
        async with Pool(ExecutorSettings.model_validate(given)) as pool:
            return [outcome.verdict async for outcome in pool.execute(item)]

    assert asyncio.run(verdicts()) == [Verdict.PASS] * 4
