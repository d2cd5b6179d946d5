"""Emptying a directory that an enemy wrote."""

import os
from pathlib import Path

from roundsmith.sandbox.scratch import empty


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
