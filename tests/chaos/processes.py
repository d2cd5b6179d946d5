"""The processes of a run, by what they do."""

import re
from pathlib import Path

RUN, SANDBOX = "run", "sandbox"
_SERVICE = re.compile(rb"roundsmith\.cli\0serve\0([a-z-]+)\0")


def descendants(pid: int) -> list[int]:
    """The process and all below it, in the order of their numbers; those that end meanwhile may be
    left out.
    """
    found, new = [pid], [pid]
    while new:
        children = []
        for parent in new:
            for task in Path(f"/proc/{parent}/task").glob("*/children"):
                try:
                    children += [int(child) for child in task.read_text().split()]
                except (FileNotFoundError, ProcessLookupError):
                    continue
        found, new = found + children, children
    return sorted(found)


def kind(pid: int, run: int) -> str | None:
    """What a process of a run does: `run`, a service's name, `training`, or `sandbox` for whatever
    the executor has started; None when it has ended.
    """
    if pid == run:
        return RUN
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if b"roundsmith.training" in command:
        return "training"
    service = _SERVICE.search(command)
    return service[1].decode() if service else SANDBOX


def by_kind(run: int) -> dict[str, list[int]]:
    """The living processes of a run."""
    found: dict[str, list[int]] = {}
    for pid in descendants(run):
        if (what := kind(pid, run)) is not None:
            found.setdefault(what, []).append(pid)
    return found
