"""The option `--out` of every command that has one."""

from pathlib import Path
from typing import Any

import typer

from roundsmith.errors import ConfigError


def out_option(told: str) -> Any:
    """The option of a folder to write; `told` says to a person what it is. An empty name, such as
    of a variable that is not set, is refused: it would be the current folder; and so is a URL,
    which would be a folder `s3:` here.
    """
    return typer.Option("--out", help=told, parser=_folder, metavar="<path>")


def _folder(given: str | Path) -> Path:
    if not str(given).strip():
        raise ConfigError(
            f"--out {str(given)!r}: expected a folder, saw an empty name: name one, such as "
            "runs/mine, or . for the current one"
        )
    if "://" in str(given):
        raise ConfigError(
            f"--out {given}: expected a folder of this machine, saw a URL: name one, such as "
            "runs/mine; what a run on a cluster makes is at a URL (`roundsmith submit`)"
        )
    return Path(given)
