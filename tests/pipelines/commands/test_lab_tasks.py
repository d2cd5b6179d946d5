"""`roundsmith lab tasks`: the lab's tasks as rows that `--tasks` reads."""

from dataclasses import replace
from pathlib import Path

import pytest

from roundsmith.benchmarks.load import load_tasks
from roundsmith.commands.lab import print_tasks
from roundsmith.lab import tasks
from roundsmith.types import Split
from tests.pipelines.round.lab_round import TASKS


def printed(split: Split, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the command prints of a split."""
    print_tasks(split, None)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("split", Split)
def test_what_is_printed_is_read_as_the_same_tasks(
    split: Split, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text("\n".join(printed(split, capsys)))
    own = [replace(task, source="own", meta={}) for task in tasks(split)]
    assert load_tasks(str(file)).of(split) == tuple(own)


def test_small_rounds_are_played_on_tasks_of_the_lab(capsys: pytest.CaptureFixture[str]) -> None:
    lines = TASKS.read_text().splitlines()
    every = [line for split in Split for line in printed(split, capsys)]
    assert len(lines) == len(set(lines)) == 20
    assert set(lines) <= set(every)
