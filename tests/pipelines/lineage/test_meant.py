"""The run or round that a path means, and what is said of a path that means none."""

from pathlib import Path

import pytest

from roundsmith.commands.runs import open_run
from roundsmith.errors import ConfigError
from roundsmith.lineage.meant import meant_round, meant_run
from roundsmith.lineage.side_by_side import read_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The root of a run of ten rounds, one of one round, and one whose first is not over."""
    names = [*(f"long/round-{number}" for number in range(1, 11)), "short/round-1", "begun/work"]
    for name in names:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder.parent / "run.json").write_text("{}")
        if folder.name != "work":
            (folder / "summary.json").write_text("{}")
    return tmp_path / "runs"


@pytest.mark.parametrize(
    "given", ["", "round-10", "round-10/summary.json", "run.json", "round-10/"]
)
def test_a_run_is_meant_by_its_folder_its_last_round_and_their_files(
    runs: Path, given: str
) -> None:
    assert meant_run(f"{runs}/long/{given}") == runs / "long"
    assert meant_round(f"{runs}/long/{given}") == str(runs / "long/round-10")


def test_a_round_before_the_last_is_meant_by_itself_and_is_no_run(runs: Path) -> None:
    assert meant_round(f"{runs}/long/round-9") == str(runs / "long/round-9")
    with pytest.raises(ConfigError, match=r"round-9: expected a run.*: give .*runs/long$"):
        meant_run(f"{runs}/long/round-9")


@pytest.mark.parametrize("given", ["runs", "runs/shrot", ""])
def test_the_finished_ones_near_by_are_named(runs: Path, given: str) -> None:
    path = str(runs.parent / given)
    with pytest.raises(
        ConfigError, match=rf"{path}: .*near by there is {runs}/long, {runs}/short$"
    ):
        meant_run(path)
    with pytest.raises(ConfigError, match=rf"near by there is {runs}/long/round-10, {runs}/short/"):
        meant_round(path)


def test_a_round_that_its_run_does_not_have_is_told_with_those_it_has(runs: Path) -> None:
    with pytest.raises(ConfigError, match=rf"near by there is {runs}/short/round-1$"):
        meant_round(f"{runs}/short/round-2")
    with pytest.raises(ConfigError, match=rf"near by there is {runs}/short$"):
        meant_run(f"{runs}/short/round-2")


def test_a_run_that_is_not_over_is_told_from_a_folder_that_is_none(
    runs: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="saw a run that has no finished round yet: near by"):
        read_run(f"{runs}/begun", "final")
    (empty := tmp_path / "other/empty").mkdir(parents=True)
    with pytest.raises(ConfigError, match="saw none: give the --out of a run"):
        meant_round(str(empty))


def test_rounds_without_the_settings_of_their_run_are_no_run(runs: Path) -> None:
    (runs / "short/run.json").unlink()
    assert meant_round(f"{runs}/short") == str(runs / "short/round-1")
    for given in ("short", "short/round-1"):
        with pytest.raises(ConfigError, match="expected the folder of a finished run"):
            meant_run(f"{runs}/{given}")


def test_a_command_that_takes_a_store_names_the_runs_near_by_too(runs: Path) -> None:
    for given in (runs / "short/round-1", runs / "shrot", runs / "begun"):
        with pytest.raises(ConfigError, match=rf"saw neither: .*near by there is {runs}/"):
            open_run(str(given))
