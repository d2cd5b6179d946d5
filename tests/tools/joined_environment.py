"""One folder with the packages of two environments, for pods, which mount one.

Files are linked, not copied: the folder is on the same disk and takes next to nothing of it.
"""

import os
import shutil
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.utils import canonicalize_name


def join(base: Path, over: Path, folder: Path) -> None:
    """Links the packages of two folders into a new one: all of `over`, and of `base` all but the
    projects that `over` has too. Files of paths (`.pth`) stay behind: pods read none.
    """
    chosen = {_name(found) for found in distributions(path=[str(over)])}
    everything = list(distributions(path=[str(base)]))
    left = {
        path for found in everything if _name(found) in chosen for path in _files(found, base)
    } - {path for found in everything if _name(found) not in chosen for path in _files(found, base)}
    _link(base, folder, left)
    for emptied in sorted(folder.rglob("*.dist-info")):
        if not any(emptied.rglob("METADATA")):
            shutil.rmtree(emptied)
    _link(over, folder, ())


def _name(found: Distribution) -> str:
    return canonicalize_name(found.metadata["Name"])


def _files(found: Distribution, packages: Path) -> list[str]:
    """What a project installed, by its path among the packages."""
    paths = (os.path.normpath(str(path)) for path in found.files or ())
    return [path for path in paths if not path.startswith("..")]


def _link(packages: Path, folder: Path, left: Iterable[str]) -> None:
    skipped = frozenset(left)

    def link(source: str, target: str) -> None:
        if os.path.relpath(source, packages) not in skipped:
            Path(target).unlink(missing_ok=True)
            os.link(source, target)

    # Whoever imports from there meanwhile writes `*.pyc.NUMBER` and renames it.
    ignore = shutil.ignore_patterns("*.pyc.*", "*.pth")
    shutil.copytree(packages, folder, copy_function=link, ignore=ignore, dirs_exist_ok=True)
