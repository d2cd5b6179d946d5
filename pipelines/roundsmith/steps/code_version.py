"""Which code did a piece of work: the release, and a hash of the source files that ran."""

import functools
import importlib.metadata
from pathlib import Path

import roundsmith
from roundsmith.hashing import content_hash, file_sha256

DIGITS = 12


@functools.cache
def code_version() -> str:
    """`0.1.0+3f0c1a9b77d2`: the version of the package, and the start of the content hash of its
    Python files by name. Recipes of a user's own are not in it; their hash is in the settings of
    what they chose.
    """
    files = {
        path.relative_to(root).as_posix(): file_sha256(path)
        for root in map(Path, roundsmith.__path__)
        for path in root.rglob("*.py")
    }
    sources = content_hash("code", [list(file) for file in sorted(files.items())])
    return f"{importlib.metadata.version('roundsmith')}+{sources[:DIGITS]}"
