"""The processes of a run, by what they do."""

import re
from pathlib import Path

from tests.processes import children

RUN, TRAINING, EXECUTOR, SUPERVISOR, ZYGOTE = "run", "training", "executor", "supervisor", "zygote"
FORK_SERVER = "fork server"
SERVICES = ("generator", "scorer", EXECUTOR, "pair-builder")
_SERVICE = re.compile(rb"roundsmith\.cli\0serve\0([a-z-]+)\0")


def by_kind(run: int) -> dict[str, list[int]]:
    """The living processes of a run; those that end meanwhile may be left out.

    Kinds are `run`, `fork server`, each service's name, `training`, `supervisor` for what the
    executor has started, and `zygote` for what a supervisor has: zygotes, and the programs that
    they run.
    """
    found: dict[str, list[int]] = {}
    waiting = [(run, RUN)]
    while waiting:
        pid, kind = waiting.pop()
        found.setdefault(kind, []).append(pid)
        waiting += [(child, what) for child in children(pid) if (what := _kind(child, kind))]
    return {kind: sorted(pids) for kind, pids in found.items()}


def _kind(pid: int, parents: str) -> str | None:
    """What a process does, by its command line and what its parent does; None when it has
    ended.
    """
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if b"roundsmith.platform.fork_server" in command:
        return FORK_SERVER
    if b"roundsmith.training" in command:
        return TRAINING
    if (service := _SERVICE.search(command)) is not None:
        return service[1].decode()
    return {EXECUTOR: SUPERVISOR, SUPERVISOR: ZYGOTE}.get(parents, parents)
