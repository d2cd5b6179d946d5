"""Promises that break while the executor serves: nothing that was found since the last good canary
is handed out.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roundsmith.executor.pool import Pool
from roundsmith.types import CallTest, ExecuteItem, Outcome, Program
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import PATIENCE_S
from tests.sandbox.planted import Fault, faulty, plant
from tests.services.executor.sandbox_pod import SandboxPod, sandbox_pod

FORK = "        start = self._hardening.launcher(limits)\n"
LOOP = "if self._loop is not None:"
LANDLOCK = "            *self._landlock,\n"
SECCOMP = """\
            Step("prctl", (syscalls.PR_SET_SECCOMP, _SECCOMP_FILTER, chosen.address, 0, 0)),
"""
READS = "def f():\n    try: return open('/etc/passwd').read(1)\n    except OSError: return ''\n"
DROP = "            *self._drop_privileges(),\n"
CAPABLE = """
import ctypes, struct
def f():
    held = ctypes.create_string_buffer(24)
    ctypes.CDLL(None).capget(struct.pack('Ii', 0x20080522, 0), held)
    return held.raw.hex().strip('0')
"""
PIDFD = "def f():\n    try: return repr(os.pidfd_open(1))\n    except OSError: return ''\n"
CELL = (("c0", "t"),)
MANY = """
import asyncio, json, sys
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Program
tier, source, count, slots = sys.argv[1:]
programs = tuple(Program(f"c{at}", source, "import os") for at in range(int(count)))
item = ExecuteItem("many", programs, (CallTest("t", "f", (), ""),))
async def main():
    settings = ExecutorSettings(
        slots=int(slots),
        highest=tier,
        canary_runs=7,
        canary_s=9,
        cache_bytes=0,
        attempts=3,
        attach_s=1,
    )
    async with Pool(settings) as pool:
        found = [outcome async for outcome in pool.execute(item)]
        held = pool.capabilities().tier
        print(json.dumps([held, [(o.code_id, o.verdict.value) for o in found], pool.quarantined]))
asyncio.run(main())
"""


def without(step: str, when: str) -> tuple[Fault, ...]:
    """A step that a child does without while a condition holds, looked at before each fork, which
    Python does here.
    """
    counted = "        self._hardening.forks = child_id\n"
    uncached = "        self._hardening.launcher.cache_clear()\n"
    taken = f"            *(() if {when} else ({step.strip()})),\n"
    return (
        Fault("sandbox/zygote.py", FORK, f"{counted}{uncached}{FORK}"),
        Fault("sandbox/zygote.py", LOOP, "if False:"),
        Fault("sandbox/hardening.py", step, taken),
    )


def run_many(
    folder: Path, faults: tuple[Fault, ...], tier: str, source: str, count: int, slots: int = 2
) -> Any:
    """Tier, (code_id, verdict) of each outcome, and supervisors quarantined by promise."""
    command = [sys.executable, "-c", MANY, tier, source, str(count), str(slots)]
    environment = plant(folder, faults)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize(
    ("tier", "step", "source", "promise"),
    [
        ("T1", LANDLOCK, READS, "no_secret_files"),
        ("T1", SECCOMP, PIDFD, "no_unshare"),
        ("T2", SECCOMP, PIDFD, "no_unshare"),
        ("T1", DROP, CAPABLE, "no_privilege"),
    ],
)
def test_what_a_supervisor_found_after_it_broke_a_promise_never_comes_from_there(
    tmp_path: Path, tier: str, step: str, source: str, promise: str
) -> None:
    faults = without(step, "self.forks > 30")
    held, found, quarantined = run_many(tmp_path, faults, tier, source, 120)
    if held != tier:
        pytest.skip(f"{tier} does not hold here")
    assert Counter(verdict for _, verdict in found) == {"PASS": 120}
    assert len({code for code, _ in found}) == 120
    assert set(quarantined) == {promise}
    assert quarantined[promise] >= 2


def test_without_the_fault_the_same_programs_cost_no_supervisor(tmp_path: Path) -> None:
    _, found, quarantined = run_many(tmp_path, (), "T1", READS, 120)
    assert Counter(verdict for _, verdict in found) == {"PASS": 120}
    assert quarantined == {}


class WeakPod(SandboxPod):
    """One whose programs do without Landlock from some time on."""

    def start_init(self) -> None:
        for file, text in faulty(without(LANDLOCK, "self.forks > 30")).items():
            (self.folder / "roundsmith" / file).write_text(text, encoding="utf-8")
        super().start_init()


def test_a_pod_that_broke_a_promise_gets_no_further_work_and_nothing_found_there_counts() -> None:
    programs = tuple(Program(f"c{at}", READS) for at in range(120))
    item = ExecuteItem("many", programs, (CallTest("t", "f", (), ""),), no_cache=True)

    async def main() -> tuple[list[Outcome], dict[str, int]]:
        settings = good.settings(sandboxes=f"{good.address},{weak.address}", canary_runs=7)
        async with Pool(settings) as pool:
            assert [len(pod.processes()) for pod in (good, weak)] == [2, 2], "one slot in each"
            found = [outcome async for outcome in pool.execute(item)]
            async with asyncio.timeout(PATIENCE_S):
                while len(good.processes()) < 4:  # both slots, each with its zygote
                    found += [outcome async for outcome in pool.execute(replace(item, cells=CELL))]
            assert weak.processes() == [], "it has work although there is another pod"
            return found, dict(pool.quarantined)

    with sandbox_pod() as good, sandbox_pod(make=WeakPod) as weak:
        found, quarantined = asyncio.run(main())
    assert {outcome.verdict for outcome in found} == {Verdict.PASS}
    assert {outcome.code_id for outcome in found} == {program.code_id for program in programs}
    assert quarantined == {"no_secret_files": 1}


EMPTY = "                clean(self._box)\n"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("sandbox/zygote.py", EMPTY, "                pass\n"),
        Fault("sandbox/solver.py", "    gc.enable()\n", "    gc.enable(); random.seed()\n"),
    ],
    ids=["files of an earlier run", "another result"],
)
def test_a_sandbox_that_is_never_clean_gives_no_outcome_to_learn_from(
    tmp_path: Path, fault: Fault
) -> None:
    _, found, quarantined = run_many(tmp_path, (fault,), "T1", READS, 3, 1)
    assert Counter(verdict for _, verdict in found) == {"INFRA_ERROR": 3}
    assert set(quarantined) <= {"no_traces"}


BREAKS_AND_MENDS = """
import asyncio, json, pathlib, sys, time
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Program
mark = pathlib.Path(sys.argv[1])
item = ExecuteItem("i", (Program("c", "def f(): return 1"),), (CallTest("t", "f", (), 1),))
async def main():
    settings = ExecutorSettings(slots=1, highest="T1", cache_bytes=0, attach_s=1)
    async with Pool(settings) as pool:
        said = []
        for broken in (False, True, False):
            mark.touch() if broken else mark.unlink(missing_ok=True)
            found = [outcome async for outcome in pool.execute(item)]
            up = pool.supervisor_pids() != []
            said.append([*((o.verdict.value, o.detail) for o in found), up])
    print(json.dumps([said, pool.quarantined]))
asyncio.run(main())
"""


def test_a_place_where_no_supervisor_keeps_its_promises_serves_again_when_one_does(
    tmp_path: Path,
) -> None:
    mark = tmp_path / "broken"
    faults = without(LANDLOCK, f"os.path.exists({str(mark)!r})")
    environment = plant(tmp_path / "copy", faults)
    command = [sys.executable, "-c", BREAKS_AND_MENDS, str(mark)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert ended.returncode == 0, ended.stderr
    (whole, broken, mended), quarantined = json.loads(ended.stdout)
    assert whole == [["PASS", ""], True]
    assert broken[0][0] == "INFRA_ERROR"
    assert "isolation T0 holds" in broken[0][1]
    assert broken[1] is False, "a supervisor that breaks a promise is still there"
    assert mended == [["PASS", ""], True]
    assert quarantined == {"no_secret_files": 1}


IN_PROFILE = """
import asyncio, json, sys
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Program, StdioTest
tier, profile = sys.argv[1:]
if profile == "scientific":
    sources = [f"import numpy\\ndef f(): return int(numpy.ones(5).sum()) - {at}" for at in range(6)]
    tests = [CallTest(f"t{at}", "f", (), 5 - at) for at in range(6)]
else:
    sources = [f"int main() {{ return {at} - {at}; }}" for at in range(6)]
    tests = [StdioTest(f"t{at}", "", "") for at in range(6)]
programs = tuple(Program(f"c{at}", source) for at, source in enumerate(sources))
cells = tuple((f"c{at}", f"t{at}") for at in range(6))
item = ExecuteItem("i", programs, tuple(tests), cells=cells, profile=profile)
async def main():
    settings = ExecutorSettings(
        slots=1, highest=tier, canary_runs=3, canary_s=90, cache_bytes=0, attempts=3
    )
    async with Pool(settings) as pool:
        held = pool.capabilities()
        if held.tier != tier or profile not in held.profiles:
            return "absent"
        found = [outcome.verdict.value async for outcome in pool.execute(item)]
        return [found, pool.quarantined]
print(json.dumps(asyncio.run(main())))
"""


@pytest.mark.parametrize(
    ("tier", "profile", "step", "where", "since"),
    [
        ("T1", "scientific", SECCOMP, "'pandas' in repr(self._box.readable)", 6),
        ("T2", "cpp", LANDLOCK, "self._box.phase == 'run'", 6),
        ("T2", "cpp", SECCOMP, "self._box.phase == 'compile'", 0),
    ],
)
def test_a_promise_that_breaks_in_another_profile_than_base_breaks_the_supervisor(
    tmp_path: Path, tier: str, profile: str, step: str, where: str, since: int
) -> None:
    """Never kept there, it gives no outcome; broken later, none from there."""
    environment = plant(tmp_path, without(step, f"{where} and self.forks > {since}"))
    command = [sys.executable, "-c", IN_PROFILE, tier, profile]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    if said == "absent":
        pytest.skip(f"{profile} is not here, or {tier} does not hold")
    found, quarantined = said
    assert Counter(found) == {"PASS" if since else "INFRA_ERROR": 6}
    files = {"no_secret_files", "no_files_of_other_profiles"}
    assert quarantined.keys() <= ({"no_unshare"} if step == SECCOMP else files)
    assert quarantined
