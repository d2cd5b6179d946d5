"""The option `--out` of every command that has one."""

from pathlib import Path
from typing import Any

import typer

from roundsmith.errors import ConfigError


def out_option(told: str) -> Any:
    """The option of a folder to write; `told` says to a person what it is. An empty name, such as
    of a variable that is not set, is refused: it would be the current folder.
    """
    return typer.Option("--out", help=told, parser=_folder, metavar="<path>")


def _folder(given: str | Path) -> Path:
    if not str(given).strip():
        raise ConfigError(
            f"--out {str(given)!r}: expected a folder, saw an empty name: name one, such as "
            "runs/mine, or . for the current one"
        )
    return Path(given)
