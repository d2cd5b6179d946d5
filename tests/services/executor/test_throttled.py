"""A machine that gives less than a core, as a container with a CPU limit: verdicts stay what they
are, since what a program waits for a core is no sleep.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings, Tier
from roundsmith.types import CallTest, ExecuteItem, Limits, Outcome, Program
from roundsmith.verdicts import Verdict
from tests.processes import descendants
from tests.services.executor.test_own_limits import SOURCE

LIMITS = Limits(cpu_s=0.5, wall_factor=2.0)
QUOTAS = {
    Path("/sys/fs/cgroup/cpu"): {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "15000"},
    Path("/sys/fs/cgroup"): {"cpu.max": "15000 100000"},
}
"""Where the CPU controller may lie, in cgroup v1 and v2, and how it gives 0.15 of a core."""


@pytest.fixture
def throttled() -> Iterator[Path]:
    """A cgroup whose processes have 0.15 of a core together."""
    for root, settings in QUOTAS.items():
        group = root / f"roundsmith-throttled-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            for name, value in settings.items():
                (group / name).write_text(value)
        except OSError:
            group.rmdir()
            continue
        yield group
        deadline = time.monotonic() + 60.0
        while left := (group / "cgroup.procs").read_text():
            assert time.monotonic() < deadline, f"still there: {left}"
            time.sleep(0.05)
        group.rmdir()
        return
    pytest.skip("needs a cgroup of one's own with the controller of CPUs")


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["T2", "T1"])
def test_verdicts_are_those_of_a_whole_core_where_a_cgroup_gives_a_part_of_one(
    throttled: Path, tier: Tier
) -> None:
    calls = {
        "spins": ("spin", 0.3),
        "spins too long": ("spin", 5.0),
        "sleeps": ("sleep", 60.0),
    }
    tests = tuple(CallTest(name, what, (how,), True) for name, (what, how) in calls.items())
    item = ExecuteItem(
        "item",
        (Program("p", f"{SOURCE}sleep = time.sleep\n"),),
        tests,
        rerun_share=0.0,
        limits=LIMITS,
    )

    others = set(descendants(os.getpid()))

    async def play() -> list[Outcome]:
        async with Pool(ExecutorSettings(slots=1, highest=tier)) as pool:
            for pid in set(descendants(os.getpid())) - others:
                (throttled / "cgroup.procs").write_text(str(pid))
            return [outcome async for outcome in pool.execute(item)]

    found = {outcome.test_id: outcome for outcome in asyncio.run(play())}
    assert {name: outcome.verdict for name, outcome in found.items()} == {
        "spins": Verdict.PASS,
        "spins too long": Verdict.CPU_TIMEOUT,
        "sleeps": Verdict.WALL_TIMEOUT,
    }
    assert found["spins"].wall_s > LIMITS.cpu_s * LIMITS.wall_factor, "nothing held it up"
