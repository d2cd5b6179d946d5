"""Faults planted in a copy of the executor and the sandbox, so that what must notice them can be
watched: the copy comes first on the path of a fresh interpreter, which starts real sandboxes of it.
"""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "sandbox": ROOT / "sandbox-image" / "roundsmith" / "sandbox",
    "executor": ROOT / "services" / "roundsmith" / "executor",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A text of a file, such as `sandbox/zygote.py`, and what stands in its place."""

    file: str
    text: str
    instead: str


def faulty(faults: Iterable[Fault]) -> dict[str, str]:
    """The files that have the faults. Raises ValueError for one whose text is not there exactly
    once.
    """
    found: dict[str, str] = {}
    for fault in faults:
        package, name = fault.file.split("/")
        text = found.get(fault.file) or (FOLDERS[package] / name).read_text(encoding="utf-8")
        if text.count(fault.text) != 1:
            raise ValueError(f"{fault.file} has {text.count(fault.text)} times {fault.text!r}")
        found[fault.file] = text.replace(fault.text, fault.instead)
    return found


def plant(folder: Path, faults: Iterable[Fault]) -> dict[str, str]:
    """Copies both packages below the folder, with the faults; the environment in which they are the
    ones that run. Raises ValueError as `faulty` does.
    """
    for name, source in FOLDERS.items():
        target = folder / "roundsmith" / name
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    for file, text in faulty(faults).items():
        (folder / "roundsmith" / file).write_text(text, encoding="utf-8")
    for directory in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        directory.chmod(0o755)
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
