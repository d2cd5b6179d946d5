"""Where commands write is what was named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.errors import ConfigError


def writing(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """The words of every command that takes --out."""
    for name, below in getattr(command, "commands", {}).items():
        yield from writing(below, *words, name)
    if any("--out" in option.opts for option in command.params):
        yield words


COMMANDS = tuple(writing(get_command(app)))


def test_there_are_commands_that_write() -> None:
    assert {("run",), ("eval",), ("reproduce",), ("lab", "card"), ("export", "data")} < {*COMMANDS}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "--out '': expected a folder, saw an empty name"),
        (" ", "--out ' ': expected a folder, saw an empty name"),
        ("s3://bucket/one", "--out s3://bucket/one: expected a folder of this machine, saw a URL"),
        ("file:///tmp/one", "--out file:///tmp/one: expected a folder of this machine, saw a URL"),
    ],
)
def test_what_is_no_folder_is_refused_and_nothing_is_written_in_the_current_one(
    words: tuple[str, ...], name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*words, "--out", name])
    assert isinstance(done.exception, ConfigError), done.output
    assert said in str(done.exception)
    assert not list(tmp_path.iterdir())
