"""Every hint to install an extra is a command that pip takes."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from roundsmith.installing import CLONE, how_to_install

ROOT = Path(__file__).parents[2]


def test_pip_takes_the_command_that_is_told() -> None:
    assert ROOT == CLONE
    command = f"{how_to_install('otel')} --dry-run --no-deps --no-index --no-build-isolation"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Would install roundsmith-" in done.stdout


def test_away_from_a_clone_one_is_asked_for(tmp_path: Path) -> None:
    told = how_to_install("track", tmp_path)
    assert told == (
        f"in a clone of Roundsmith: {sys.executable} -m pip install --constraint constraints.txt "
        "--editable '.[track]'"
    )


def test_every_extra_that_a_message_names_is_there_and_told_by_its_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    files = (file for folder in ("services", "pipelines") for file in (ROOT / folder).rglob("*.py"))
    text = "".join(file.read_text() for file in files)
    named = set(re.findall(r"how_to_install\('(\w+)'\)", text))
    assert named == {"local", "cluster", "track", "vllm", "otel"}
    assert named <= set(project["optional-dependencies"])
    assert not re.search(r"install '?roundsmith\[", text)
