"""A small round on the lab through the real services, as a user starts it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from roundsmith.store import EXAMPLES, Store
from roundsmith.types import Example

TASKS = Path(__file__).parents[2] / "data" / "lab.jsonl"
"""Of the lab, 8 to train on and 6 of each held-out split: no run has to make all 1920 first."""
FEW = ("--limit", "8", "--eval-limit", "6")
SMALL = ("--preset", "lab", "--tasks", str(TASKS), "--seed", "3", *FEW)
OPTIONS = ("--recipe", "gift", *SMALL, "--set", "iterations=2", "--set", "training.epochs=1")


def command(out: Path, *options: str) -> list[str]:
    """The command line of a small round."""
    return [sys.executable, "-m", "roundsmith.cli", "run", *OPTIONS, *options, "--out", str(out)]


def play(out: Path, *options: str) -> str:
    """Runs it to its end and gives what it printed."""
    return printed(command(out, *options))


def play_recipe(out: Path, recipe: str, *options: str) -> str:
    """The same of another recipe."""
    words = [sys.executable, "-m", "roundsmith.cli", "run", "--recipe", recipe, *SMALL, *options]
    return printed([*words, "--out", str(out)])


def printed(words: list[str]) -> str:
    """What a command printed, when it ends well."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def summary(out: Path, number: int = 1) -> dict[str, Any]:
    """The summary.json of a round."""
    fields: dict[str, Any] = json.loads((out / f"round-{number}/summary.json").read_text())
    return fields


def selected(out: Path) -> list[Example]:
    """The training rows that the round chose."""
    store = Store(str(out / "store"))
    return [row for m in store.manifests("select") for row in store.read_all(EXAMPLES, m)]
