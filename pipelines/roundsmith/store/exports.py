"""A finished round's folder at a URL, where whoever has the storage can read it."""

from pathlib import Path
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.storage import is_local, open_storage, storage_errors

SUMMARY = "summary.json"
"""Written last: while it is there, what is beside it belongs to it."""


def copy_round(folder: Path, url: str) -> str:
    """Copy a round's folder to a URL, such as `s3://bucket/prefix/runs/NAME/round-1`; that URL.

    Of what was there, files of the same name are replaced, other rows and weights are removed and
    the rest is left. Raises ConfigError for a folder without a summary, and for a local one as
    target.
    """
    if not (folder / SUMMARY).is_file():
        raise ConfigError(
            f"{folder}: expected the folder of a finished round, saw no {SUMMARY}: copy it when "
            "the round is over"
        )
    system, base = open_storage(url)
    if is_local(system):
        raise ConfigError(f"{url}: expected a URL of storage, saw a local folder: copy it with cp")
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    names.remove(SUMMARY)
    with storage_errors(url):
        if system.exists(f"{base}/{SUMMARY}"):
            system.rm_file(f"{base}/{SUMMARY}")
        for name in sorted(_under(system, base, ("data", "checkpoint")) - set(names)):
            system.rm_file(f"{base}/{name}")
        for name in (*names, SUMMARY):
            system.put_file(str(folder / name), f"{base}/{name}")
    return url


def _under(system: Any, base: str, folders: tuple[str, ...]) -> set[str]:
    """The files in folders of a URL, by their path from it."""
    found = (file for folder in folders for file in system.find(f"{base}/{folder}"))
    return {file[file.index(f"{base}/") + len(base) + 1 :] for file in found}
