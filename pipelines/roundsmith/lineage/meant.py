"""The run or the round that a person means by a path: its folder, or one next to it in the tree."""

from collections.abc import Sequence
from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.lineage.place import is_url, summaries
from roundsmith.lineage.rounds import round_folders
from roundsmith.models.near import seen_below

NAMED = 5
"""Folders that a message names at most."""


def meant_run(given: str) -> Path:
    """The folder of a finished run, of which `given` is it, its last round or a file of either.

    Raises ConfigError that names the finished runs near by where it is none of them.
    """
    path = _folder(given)
    if _is_run(path):
        return path
    rounds = round_folders(path.parent)
    if not _is_run(path.parent) or not (path / "summary.json").is_file():
        raise ConfigError(
            f"{given}: expected the folder of a finished run (with run.json and "
            f"round-N/summary.json in it), saw {_seen(path)}: {_instead(near_runs(path))}"
        )
    if path != rounds[max(rounds)].parent:
        raise ConfigError(
            f"{given}: expected a run, which is looked at as its last round left it, saw a round "
            f"before that: give {path.parent}"
        )
    return path.parent


def meant_round(given: str) -> str:
    """The folder of a finished round, of which `given` is it, a file of it, or its run, whose last
    round is meant. A URL that is no run's is taken as it is.

    Raises ConfigError that names the finished rounds near by where it is none of them.
    """
    if is_url(given):
        told = summaries(given)
        return told[max(told)].rpartition("/")[0] if told else given
    path = _folder(given)
    if (path / "summary.json").is_file():
        return str(path)
    if rounds := round_folders(path):
        return str(rounds[max(rounds)].parent)
    raise ConfigError(
        f"{given}: expected the folder of a finished round (with summary.json in it) or of its "
        f"run, saw {_seen(path)}: {_instead(_last_rounds(near_runs(path)))}"
    )


def _folder(given: str) -> Path:
    path = Path(given)
    return path.parent if path.is_file() else path


def _is_run(path: Path) -> bool:
    return (path / "run.json").is_file() and bool(round_folders(path))


def _seen(path: Path) -> str:
    if not path.is_dir():
        return "no such folder"
    return "a run that has no finished round yet" if (path / "run.json").is_file() else "none"


def near_runs(path: Path) -> list[Path]:
    """The finished runs at or below a path or what there is of it, else beside it."""
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    for at in (there, there.parent):
        places = (f"{below}round-*/summary.json" for below in ("", "*/", "*/*/"))
        if found := {summary.parent.parent for summary in seen_below(at, places)}:
            return sorted(found)
    return []


def named(near: Sequence[Path]) -> str:
    """Some paths as a message names them."""
    more = f" or one of {len(near) - NAMED} others" if len(near) > NAMED else ""
    return f"near by there is {', '.join(map(str, near[:NAMED]))}{more}"


def _instead(near: Sequence[Path]) -> str:
    otherwise = "give the --out of a run, or finish it with the command that began it"
    return named(near) if near else otherwise


def _last_rounds(runs: Sequence[Path]) -> list[Path]:
    rounds = [round_folders(run) for run in runs]
    return [of[max(of)].parent for of in rounds]
