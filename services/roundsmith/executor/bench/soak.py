"""Very many runs, one in ten of them hostile: what service and sandbox hold must not grow."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections import Counter
from dataclasses import astuple, dataclass
from pathlib import Path

from roundsmith.bench import BenchResult
from roundsmith.errors import SandboxError
from roundsmith.executor.local_supervisors import BOX_PREFIX
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Limits, Program
from roundsmith.verdicts import Verdict

log = logging.getLogger(__name__)

LIMITS = Limits(cpu_s=0.05, memory_bytes=64 * 2**20, file_bytes=2**20)
_PROGRAMS = 50
_TEST = CallTest("t", "f", (1,), 2)
_HOSTILE = (
    "while True: pass",
    "bytearray(2 ** 40)",
    "os._exit(0)",
    "os.kill(os.getppid(), 9)",
    "[os.pipe() for _ in range(10 ** 4)]",
    "open('x' * 200, 'wb').write(bytes(2 ** 19)); os.mkdir('d'); os._exit(1)",
    "os.fork()",
    "os.write(3, b'forged' * 99)",
    "os.write(1, bytes(2 ** 18))",
    "os.abort()",
)
_GROWTH_BYTES = 16 * 2**20
_WARM_UP = 500
_PART = 5000
_LOOKS = 50
_MOST_WRONG = 20
"""Then it ends: what is wrong so often needs no more runs."""


@dataclass(frozen=True, slots=True)
class Held:
    """What this process, its supervisors and their zygotes hold."""

    service_bytes: int
    sandbox_bytes: int
    descriptors: int
    mounts: int
    processes: int
    zombies: int
    files: int
    """In the folders that its programs write to, where this machine sees them."""


def soak(num_runs: int, slots: int = 2) -> list[BenchResult]:
    """Runs that many programs, fewer when it is ended by SIGINT or SIGTERM, and logs what is held
    after every few thousand. Raises SandboxError when something grew, or a verdict is wrong.
    """
    return asyncio.run(_soak(num_runs, slots))


async def _soak(num_runs: int, slots: int) -> list[BenchResult]:
    # The same supervisors to the end, so that what grew in one shows.
    settings = ExecutorSettings(slots=slots, cache_bytes=0, recycle_runs=2 * num_runs + _WARM_UP)
    async with Pool(settings) as pool:
        place = pool.capabilities().tier
        work = _Work(pool)
        await work.run(min(_WARM_UP, num_runs // 2))
        pids = pool.supervisor_pids()
        before, start, warm = await _settled(pids), time.monotonic(), work.num_runs
        log.info("before: %s", before)
        for end in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(end, work.stop)
        while work.num_runs - warm < num_runs and not work.stopped:
            await work.run(min(_PART, num_runs - (work.num_runs - warm)))
            after = await _settled(pids)
            log.info("after %d runs, %d late: %s", work.num_runs - warm, work.num_late, after)
        made = work.num_runs - warm
        rate = made / (time.monotonic() - start)
        if pool.supervisor_pids() != pids:
            raise SandboxError(f"supervisors {pids} became {pool.supervisor_pids()}")
    if work.wrong:
        raise SandboxError(f"in {made} runs: {'; '.join(work.wrong)}")
    if grown := _grown(before, after):
        raise SandboxError(f"after {made} runs: {grown}")
    case = f"{made} runs, a tenth hostile, {place}"
    names = [field for field in Held.__slots__ if field != "files"]
    rows = zip(("files", *names), _row(after), _row(before), strict=True)
    held = [_same(case, name, now, was) for name, now, was in rows]
    honest = made - made // 10
    late = BenchResult(
        f"{case}: ended by a busy machine's clock",
        work.num_late,
        "programs",
        "honest",
        honest,
        1 - work.num_late / honest,
    )
    return [BenchResult(case, rate, "runs/s", "1 run/s", 1.0, rate), late, *held]


def _row(held: Held) -> tuple[int, ...]:
    *others, files = astuple(held)
    return (files, *others)


def _same(case: str, name: str, now: int, was: int) -> BenchResult:
    unit = "bytes" if name.endswith("bytes") else name
    return BenchResult(f"{case}: {name}", now, unit, "before", was, was / now if now else 1.0)


class _Work:
    """Runs of programs, two items at a time, so that no slot waits for a judge."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self._serial = pool, 0
        self.num_runs, self.stopped = 0, False
        self.num_late = 0
        """Honest programs that a busy machine ran so little that the wall clock ended them twice:
        they have no label, and are not wrong.
        """
        self.wrong: list[str] = []
        """Items whose verdicts were not as expected, in words."""

    def stop(self) -> None:
        """Begins no more items."""
        self.stopped = True

    async def run(self, num_runs: int) -> None:
        """At least so many."""
        last = self._serial + -(-num_runs // _PROGRAMS)

        async def work() -> None:
            while self._serial < last and not self.stopped:
                self._serial += 1
                await self._item(self._serial)

        await asyncio.gather(work(), work())

    async def _item(self, serial: int) -> None:
        programs = [
            Program(f"good-{at}", f"def f(x): return x + 1  # {serial}.{at}\n") for at in range(45)
        ]
        for at in range(_PROGRAMS - len(programs)):
            body = _HOSTILE[(serial * 5 + at) % len(_HOSTILE)]
            programs.append(Program(f"bad-{at}", f"import os\ndef f(x):\n    {body}\n# {serial}\n"))
        item = ExecuteItem(f"soak-{serial}", tuple(programs), (_TEST,), limits=LIMITS)
        verdicts: Counter[tuple[str, Verdict]] = Counter()
        async for outcome in self._pool.execute(item):
            kind, verdict = outcome.code_id.partition("-")[0], outcome.verdict
            late = kind == "good" and verdict is Verdict.WALL_TIMEOUT and outcome.near_limit
            self.num_late += late
            verdicts[kind, Verdict.PASS if late else verdict] += 1
        self.num_runs += len(programs)
        good = verdicts.pop(("good", Verdict.PASS), 0)
        if good != 45 or ("bad", Verdict.PASS) in verdicts or sum(verdicts.values()) != 5:
            wrong = f"item {serial}: expected 45 honest to pass alone, saw {good} and {verdicts}"
            log.error(wrong)
            self.wrong.append(wrong)
            self.stopped |= len(self.wrong) >= _MOST_WRONG


def _grown(before: Held, after: Held) -> str:
    """What grew, in words; memory may by a few MiB, which the allocators keep."""
    pairs = zip(Held.__slots__, astuple(before), astuple(after), strict=True)
    return ", ".join(
        f"{name} {was} became {now}"
        for name, was, now in pairs
        if now > was + (_GROWTH_BYTES if name.endswith("bytes") else 0)
    )


async def _settled(supervisors: list[int]) -> Held:
    """What is held when nothing runs any more: a canary may still be at its end."""
    held = None
    for _ in range(_LOOKS):
        await asyncio.sleep(0.1)
        with contextlib.suppress(FileNotFoundError):  # a process that ended meanwhile
            held = _held(supervisors)
            if held.processes == 2 * len(supervisors):  # each and its zygote
                break
    if held is None:
        raise SandboxError(f"processes came and went below {supervisors}, expected none to run")
    return held


def _held(supervisors: list[int]) -> Held:
    family = [pid for supervisor in supervisors for pid in (str(supervisor), *_below(supervisor))]
    own = str(os.getpid())
    mounts = sum(len(_read(pid, "mounts").splitlines()) for pid in map(str, supervisors))
    return Held(
        service_bytes=_resident(own),
        sandbox_bytes=sum(map(_resident, family)),
        descriptors=sum(map(_descriptors, [own, *family])),
        mounts=mounts,
        processes=len(family),
        zombies=sum(") Z " in _read(pid, "stat") for pid in [*family, *map(str, _below(int(own)))]),
        files=sum(len(os.listdir(box)) for pid in supervisors for box in _boxes(pid)),
    )


def _boxes(supervisor: int) -> list[str]:
    """Where its programs write, if that is a place of this machine: not in a mount namespace."""
    words = _read(str(supervisor), "cmdline").split("\0")
    return [word for word in words if Path(word).name.startswith(BOX_PREFIX)]


def _below(pid: int) -> list[str]:
    children = _read(str(pid), f"task/{pid}/children").split()
    return [found for child in children for found in (child, *_below(int(child)))]


def _resident(pid: str) -> int:
    return int(_read(pid, "statm").split()[1]) * os.sysconf("SC_PAGESIZE")


def _descriptors(pid: str) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        # Only root may look into a process that is not dumpable.
        return 0


def _read(pid: str, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()
