"""A service that is killed while its engine starts leaves nothing of it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.processes import alive, children

SERVICE = """
import subprocess, sys, time
from roundsmith.generator.starting import nothing_is_left
ENGINE = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '600']); "
ENGINE += "print(p.pid, flush=True); time.sleep(600)"
with nothing_is_left():
    engine = subprocess.Popen([sys.executable, "-c", ENGINE], start_new_session=True)
    print(engine.pid, flush=True)
    if sys.argv[1] == "killed":
        time.sleep(600)
engine.wait()
"""


def switches(pid: int) -> int:
    """How often a process has waited."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("voluntary")).split()[1])


def test_what_was_started_ends_with_a_service_that_is_killed() -> None:
    command = [sys.executable, "-c", SERVICE, "killed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        started = [int(service.stdout.readline()) for _ in range(2)]
        (watcher,) = (child for child in children(service.pid) if child not in started)
        looks = switches(watcher)
        while switches(watcher) < looks + 3:  # it has seen what there is
            time.sleep(0.05)
        service.kill()
        service.stdout.close()
    deadline = time.monotonic() + 300
    while any(map(alive, started)):
        assert time.monotonic() < deadline, "the engine lives on"
        time.sleep(0.05)


def test_an_engine_that_has_started_is_watched_no_more() -> None:
    command = [sys.executable, "-c", SERVICE, "started"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        engine, rank = (int(service.stdout.readline()) for _ in range(2))
        deadline = time.monotonic() + 300
        while children(service.pid) != [engine]:
            assert time.monotonic() < deadline, "a watcher is left"
            time.sleep(0.05)
        assert alive(engine)
        os.kill(rank, 9)
        os.kill(engine, 9)
