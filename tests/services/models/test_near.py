"""Which models are named beside one that is not found."""

import shutil
import threading
from pathlib import Path

from roundsmith.models.near import near_by


def put_model(folder: Path) -> None:
    """A folder that looks like a model's."""
    folder.mkdir(parents=True)
    (folder / "config.json").touch()
    (folder / "model.safetensors").touch()


def test_models_below_the_nearest_folder_are_named(tmp_path: Path) -> None:
    put_model(tmp_path / "runs" / "one" / "round-1" / "checkpoint")
    (tmp_path / "runs" / "empty").mkdir()
    there = tmp_path / "runs" / "one" / "round-1" / "checkpoint"
    assert near_by(tmp_path / "runs" / "tow") == f"; near by there is {there}"


def test_a_path_of_which_nothing_exists_has_nothing_near_by() -> None:
    assert near_by(Path("/no/such/model")) == ""


def test_folders_that_go_away_meanwhile_are_passed_over(tmp_path: Path) -> None:
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            put_model(tmp_path / "a" / "b")
            shutil.rmtree(tmp_path / "a")

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        for _ in range(500):
            assert near_by(tmp_path / "none") in ("", f"; near by there is {tmp_path / 'a' / 'b'}")
    finally:
        ended.set()
        other.join()
