"""What killed processes leave in /tmp goes with the next one, and what is in use stays."""

import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from roundsmith.config import child_environment
from roundsmith.leftovers import temporary_folder

HOLDING = """
import sys
from pathlib import Path
from roundsmith.leftovers import temporary_folder
with temporary_folder(sys.argv[1]) as folder:
    Path(folder, "kept").write_text("something")
    print(folder, flush=True)
    sys.stdin.read()
"""


def holder(scratch: Path, of: str) -> "subprocess.Popen[str]":
    """A process that has a temporary folder as long as nothing is written to it."""
    words, here = [sys.executable, "-c", HOLDING, of], child_environment(TMPDIR=str(scratch))
    pipe = subprocess.PIPE
    return subprocess.Popen(words, env=here, stdin=pipe, stdout=pipe, text=True)


def folder_of(process: "subprocess.Popen[str]") -> Path:
    """Its folder, when it has one."""
    assert process.stdout is not None
    return Path(process.stdout.readline().strip())


@pytest.mark.parametrize("of", ["torchrun", "vllm", "weights"])
def test_the_folder_of_a_killed_process_goes_with_the_next_one_and_that_of_a_living_one_stays(
    of: str, tmp_path: Path
) -> None:
    others = tmp_path / "roundsmith-training", tmp_path / f"roundsmith-{of}-of-nobody"
    for other in others:
        other.mkdir()
    with holder(tmp_path, of) as living, holder(tmp_path, of) as killed:
        stays, goes = folder_of(living), folder_of(killed)
        killed.kill()
        killed.wait()
        assert goes.is_dir()
        with holder(tmp_path, of) as following:
            mine = folder_of(following)
            assert sorted(tmp_path.iterdir()) == sorted([*others, stays, mine])
            assert (stays / "kept").read_text() == "something"
            following.communicate("")
        living.communicate("")
    assert sorted(tmp_path.iterdir()) == sorted(others), "who ends in order leaves nothing"


def test_folders_of_others_that_come_and_go_meanwhile_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            folders = [tmp_path / f"roundsmith-torchrun-{number}" for number in range(20)]
            for folder in folders:
                folder.mkdir()
            for folder in folders:
                folder.rmdir()

    others = threading.Thread(target=come_and_go)
    others.start()
    try:
        for _ in range(500):
            temporary_folder("torchrun").cleanup()
    finally:
        ended.set()
        others.join()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_process_that_is_not_seen_from_here_is_left_alone(tmp_path: Path) -> None:
    pid = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout
    elsewhere = f"{'1' * 32}-7.{socket.gethostname()}"
    left = tmp_path / "roundsmith-torchrun-left"
    left.mkdir()
    (left / f"roundsmith.{pid.strip()}.{'0' * 32}.{elsewhere}").touch()
    with holder(tmp_path, "torchrun") as following:
        mine = folder_of(following)
        assert sorted(tmp_path.iterdir()) == sorted([left, mine])
        following.communicate("")
    assert list(tmp_path.iterdir()) == [left]
