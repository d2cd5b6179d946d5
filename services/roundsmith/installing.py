"""How an extra of this package is installed: it is on no index, so from a clone."""

import sys
from pathlib import Path
from shlex import join

CLONE = Path(__file__).parents[2]
"""What an editable installation runs from."""
OWN_PINS = ("vllm",)
"""Extras with other versions than those that are tested together."""


def how_to_install(extra: str, clone: Path = CLONE) -> str:
    """The command that adds an extra to this environment: ready to be pasted where it runs from a
    clone, else to be given in one.
    """
    here = (clone / "constraints.txt").is_file()
    root = clone if here else Path()
    pins = () if extra in OWN_PINS else ("--constraint", f"{root / 'constraints.txt'}")
    command = join(
        [sys.executable, "-m", "pip", "install", *pins, "--editable", f"{root}[{extra}]"]
    )
    return command if here else f"in a clone of Roundsmith: {command}"
