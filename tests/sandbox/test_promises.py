"""Each promise is tried for real: the probe names the one whose mechanism is not there."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from roundsmith.executor.promises import promises, promises_of
from roundsmith.sandbox.boot import SANDBOX_VERSION
from roundsmith.sandbox.events import pack_events
from roundsmith.sandbox.languages import COMPILE, RUN
from roundsmith.sandbox.runs import Run
from roundsmith.sandbox.starting import Told, Wanted
from tests.sandbox.mutations import MUTATIONS
from tests.sandbox.planted import plant

KEPT_BY = {
    ("RLIMIT_AS", "T1"): "address_space_limit",
    ("RLIMIT_DATA", "T1"): "data_limit",
    ("RLIMIT_CPU", "T1"): "cpu_limit",
    ("RLIMIT_FSIZE", "T1"): "file_limit",
    ("RLIMIT_NOFILE", "T1"): "descriptor_limit",
    ("RLIMIT_CORE", "T1"): "core_limit",
    ("RLIMIT_STACK", "T1"): "stack_limit",
    ("RLIMIT_MEMLOCK", "T1"): "locked_memory_limit",
    ("seccomp: no CPU limit of one's own", "T1"): "cpu_limit",
    ("network namespace", "T2"): "own_network",
    ("ipc namespace of the supervisor", "T2"): "own_ipc_namespace",
    ("uts namespace", "T2"): "own_uts_namespace",
    ("pid namespace of a run", "T2"): "own_pid_namespace",
}
"""What is taken away, at the tier that rests on it, and the promise that is seen broken."""
SERVES = """
import asyncio, sys
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
async def main():
    async with Pool(ExecutorSettings(slots=1, highest=sys.argv[1], floor=sys.argv[1])) as pool:
        print(pool.capabilities().tier)
asyncio.run(main())
"""


def started(folder: Path, mechanism: str, tier: str) -> "subprocess.CompletedProcess[str]":
    """An executor of a copy without the mechanism, none by an empty name, that must hold a tier."""
    faults = [fault for one in MUTATIONS if one.name == mechanism for fault in one.faults]
    assert faults or not mechanism
    command = [sys.executable, "-c", SERVES, tier]
    environment = plant(folder, faults)
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.parametrize(("mechanism", "tier"), KEPT_BY)
def test_an_executor_without_a_mechanism_names_the_promise_that_it_does_not_keep(
    tmp_path: Path, mechanism: str, tier: str
) -> None:
    if tier == "T2" and started(tmp_path / "whole", "", tier).returncode:
        pytest.skip("T2 does not hold here")
    ended = started(tmp_path / "without", mechanism, tier)
    assert ended.returncode
    assert f"expected at least {tier}" in ended.stderr
    assert f" {KEPT_BY[mechanism, tier]} (" in ended.stderr, ended.stderr


def test_with_every_mechanism_the_copy_serves(tmp_path: Path) -> None:
    assert started(tmp_path, "", "T1").stdout == "T1\n"


def test_the_version_of_the_sandbox_is_that_of_what_it_is_told_and_tells() -> None:
    """When this changes, so must SANDBOX_VERSION: a pod of another release then says which it is,
    instead of reading a run for another. What a canary attempts is named, as a sandbox knows it.
    """
    cells = ((b"C", b"one"), (b"A", b""))
    budgets = (1.5, 0.5, 4.0, 2**27, 2**20, 2**16, 3)
    run = Run("solution", "import os", "def f(): pass\n", b"in", cells, *budgets, "scientific")
    events = [(-1, "answer", "", b"N", 0.25, 0.5), (1, "exit", "é", b"\0", 1.0, 2.0)]
    start = (Wanted(True, 7, False), Told(True, "", ["lo"], ["ipc"], "", ["base"], {"cpp": "no"}))
    kept = [*promises(7), *(p for phase in (COMPILE, RUN) for p in promises_of(phase, 7))]
    attempts = sorted({f"{one.attempt} {len(one.arguments)}" for one in kept})
    content = [run.pack(), pack_events(True, events), *(one.pack() for one in start)]
    told = hashlib.sha256(b"".join(content) + "\n".join(attempts).encode()).hexdigest()
    assert (SANDBOX_VERSION, told[:16]) == ("2", "88919f423507fdb1")
