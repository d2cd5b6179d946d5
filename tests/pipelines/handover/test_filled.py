"""A folder is handed over whole, whatever kills the one who writes it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from roundsmith.errors import ConfigError
from roundsmith.handover.filled import filled

KILLED = """
import os, signal, sys
from pathlib import Path
from roundsmith.handover.filled import filled
with filled(Path(sys.argv[1])) as folder:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "half.parquet").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=[False, True], ids=["not there", "empty"])
def out(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Where a folder is handed over to."""
    if request.param:
        (tmp_path / "rows").mkdir()
    return tmp_path / "rows"


def test_a_hand_over_that_was_killed_left_nothing_that_opens_and_is_given_again(
    tmp_path: Path, out: Path
) -> None:
    subprocess.run([sys.executable, "-c", KILLED, out], check=False)
    assert not (out / "data").exists()
    with filled(out) as folder:
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "whole.parquet").write_bytes(b"whole")
        (folder / "README.md").write_text("card")
    assert sorted(os.listdir(out)) == ["README.md", "data"]
    assert os.listdir(out / "data") == ["whole.parquet"]
    assert os.listdir(tmp_path) == ["rows"]


def fail_in(out: Path) -> None:
    with filled(out) as folder:
        folder.mkdir()
        (folder / "half").write_text("half")
        raise ZeroDivisionError


def test_a_hand_over_that_fails_leaves_what_was_there_before(tmp_path: Path, out: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ZeroDivisionError):
        fail_in(out)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_another_has_under_way_in_the_same_place_is_left_to_it(tmp_path: Path) -> None:
    with filled(tmp_path / "one") as first:
        with filled(tmp_path / "other") as second:
            second.mkdir()
            (second / "file").write_text("other")
        first.mkdir()
        (first / "file").write_text("one")
    assert (tmp_path / "one/file").read_text() == "one"
    with pytest.raises(ConfigError, match="expected an empty folder"), filled(tmp_path / "one"):
        raise AssertionError("it was taken")
