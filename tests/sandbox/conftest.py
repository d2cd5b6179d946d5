"""Real pools for the session, on event loops of their own threads, to be attacked."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import Literal

import pytest

from roundsmith.executor.capabilities import Capabilities
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.sandbox import go_packages, profiles
from roundsmith.sandbox.syscalls import number
from roundsmith.types import AssertTest, CallTest, ExecuteItem, Limits, Outcome, Program, StdioTest
from roundsmith.types import Test as AnyTest
from roundsmith.verdicts import Verdict
from tests.services.executor.containers import container_pod
from tests.services.executor.sandbox_pod import (
    SandboxPod,
    sandbox_interpreter,
    sandbox_pod,
    scientific,
)

LIMITS = Limits(cpu_s=0.5, memory_bytes=128 * 2**20, file_bytes=2**20, wall_factor=4.0)
Place = Literal["T2", "T1", "pod", "T3"]
PATIENCE_S = 120.0
"""How long a busy machine may take for what takes no time."""
_SYSTEM_CALLS = """
import ctypes
def f(numbers):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    seen = []
    for number in numbers:
        ctypes.set_errno(0)
        seen.append((libc.syscall(ctypes.c_long(number), 0, 0, 0, 0, 0, 0), ctypes.get_errno()))
    return seen
"""


class Box:
    """Runs programs in the pool and gives what came of them."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop, place: Place) -> None:
        self._pool, self._loop, self.place = pool, loop, place

    @property
    def capabilities(self) -> Capabilities:
        return self._pool.capabilities()

    @property
    def supervisor_pids(self) -> list[int]:
        """As numbered on this machine: the pod of the tests shares its process namespace. Skips in
        gVisor, whose processes the machine does not have.
        """
        if self.place == "T3":
            pytest.skip("this looks at processes from outside, and gVisor's are not to be seen")
        return self._pool.supervisor_pids()

    @property
    def worker(self) -> str:
        """HOST:PORT of the pod's worker, nothing for a local pool."""
        return self._pool.settings.sandboxes

    def matrix(self, item: ExecuteItem) -> list[Outcome]:
        """The outcomes of an item, in the order in which they came."""
        return asyncio.run_coroutine_threadsafe(self._collect(item), self._loop).result(1800)

    def given_up(self, item: ExecuteItem, after_s: float) -> bool:
        """Whether the item was still running when it was cancelled after that time."""

        async def give_up() -> bool:
            try:
                await asyncio.wait_for(self._collect(item), after_s)
            except TimeoutError:
                return True
            return False

        return asyncio.run_coroutine_threadsafe(give_up(), self._loop).result(600)

    @contextmanager
    def running(self, item: ExecuteItem) -> Iterator[None]:
        """An item that does not end by itself runs meanwhile, and is given up at the end."""
        over = asyncio.Event()

        async def until_over() -> None:
            work = asyncio.create_task(self._collect(item))
            await over.wait()
            assert work.cancel(), f"it ended: {work}"
            await asyncio.wait([work])

        running = asyncio.run_coroutine_threadsafe(until_over(), self._loop)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(over.set)
            running.result(600)

    async def _collect(self, item: ExecuteItem) -> list[Outcome]:
        return [outcome async for outcome in self._pool.execute(item)]

    def run(self, source: str, test: AnyTest, limits: Limits = LIMITS) -> Outcome:
        """The outcome of one program on one test."""
        (outcome,) = self.matrix(
            ExecuteItem("one", (Program("c", source),), (test,), limits=limits)
        )
        return outcome

    def call(self, source: str, expected: object = True, limits: Limits = LIMITS) -> Outcome:
        """The outcome of `f()` against a value."""
        return self.run(source, CallTest("t", "f", (), expected), limits)

    def check(self, source: str, statements: str, limits: Limits = LIMITS) -> Outcome:
        """The outcome of assert statements."""
        return self.run(source, AssertTest("t", statements), limits)

    def script(self, source: str, stdin: str, stdout: str, limits: Limits = LIMITS) -> Outcome:
        """The outcome of a script."""
        return self.run(source, StdioTest("t", stdin, stdout), limits)

    def refuses(self, system_calls: str) -> None:
        """Asserts that each of the system calls is answered by EPERM, whatever its arguments."""
        numbers = [number(name) for name in system_calls.split() if number(name) >= 0]
        outcome = self.run(_SYSTEM_CALLS, CallTest("t", "f", (numbers,), [(-1, 1)] * len(numbers)))
        assert outcome.verdict is Verdict.PASS, outcome.detail

    def needs_landlock(self) -> None:
        """Skips where only Landlock keeps what is tried, and there is none."""
        if self.place == "T3":
            pytest.skip("only Landlock keeps this; gVisor has none, and docs/executor.md says so")

    def if_it_may_fork(self, verdict: Verdict) -> Verdict:
        """The verdict where a run may have several processes. It may not where its user is not the
        slot's own, because the kernel counts processes by user.
        """
        own_user = self.place == "T2" or (
            self.place == "T1"
            and os.geteuid() == 0
            and profiles.open_to_all(profiles.readable_paths())
        )
        return verdict if own_user else Verdict.PROCESS_LIMIT


def living(marker: str) -> bool:
    """Whether a thread of that name lives and does not end within two minutes."""
    deadline = time.monotonic() + PATIENCE_S
    while found := _lives(marker):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return found


def begun(marker: str) -> list[str]:
    """The processes that have a thread of that name, as soon as there is one."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := _named(marker)):
        assert time.monotonic() < deadline, f"no thread was named {marker}"
        time.sleep(0.02)
    return found


def ended(pids: list[str], marker: str) -> bool:
    """Whether none of these processes has a thread of that name any more, within two minutes."""
    deadline = time.monotonic() + PATIENCE_S
    while left := set(pids) & set(_named(marker)):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return not left


def kill(marker: str) -> None:
    """Ends what has a thread of that name, as the kernel does when memory runs short."""
    for pid in _named(marker):
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def _lives(marker: str) -> bool:
    return bool(_named(marker))


def _named(marker: str) -> list[str]:
    return [pid for pid in filter(str.isdigit, os.listdir("/proc")) if _has_thread(pid, marker)]


def _has_thread(pid: str, marker: str) -> bool:
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/comm", "rb") as stream:
                if stream.read().strip() == marker.encode():
                    return True
    except OSError:
        return False
    return False


EVERYWHERE = ("T2", "T1", "pod", "T3")
OF_THE_TESTER = pytest.mark.places("T2", "T1", "pod")
"""Of what programs, and those who speak for them, tell the tester. That is the same code in gVisor,
where a run costs five times as much or more; `test_testers.py` and `test_verdict_integrity.py`
judge there, too.
"""
_FROM_PYTHON = " from Python"
ALSO_FROM_PYTHON = (*EVERYWHERE, *(tier + _FROM_PYTHON for tier in ("T2", "T1")))
"""The launcher in C starts programs, and Python where a test rests on the steps that it does."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test has its box at every place, or at those that its mark `places` names."""
    if "box" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("places")
        places = mark.args if mark else EVERYWHERE
        assert set(places) <= set(ALSO_FROM_PYTHON), places
        slow = [pytest.mark.slow]
        wanted = [
            pytest.param(place, marks=slow if place.endswith(_FROM_PYTHON) else [])
            for place in places
        ]
        metafunc.parametrize("box", wanted, indirect=True, scope="session")


@pytest.fixture(scope="session")
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    """The local pool at T2 and T1; a sandbox pod, where programs have the supervisor's user; the
    same pod in gVisor. A tier that this machine does not hold is skipped. Nothing is kept, so that
    every run is one. Where Go is, its packages are compiled once, for this and later sessions.
    """
    if (go := go_packages.root()) and not go_packages.find(go):
        go_packages.make(go)
    place: Place = request.param.removesuffix(_FROM_PYTHON)
    launcher: Literal["c", "python"] = "c" if place == request.param else "python"
    with ExitStack() as stack:
        if place == "pod":
            settings = stack.enter_context(scientific_pod()).settings(cache_bytes=0)
        elif place == "T3":
            pod = container_pod("runsc", beside=scientific())
            settings = stack.enter_context(pod).settings(slots=1, cache_bytes=0)
        else:
            settings = ExecutorSettings(slots=2, highest=place, cache_bytes=0, launcher=launcher)
        loop = stack.enter_context(_looping())
        pool = asyncio.run_coroutine_threadsafe(Pool.start(settings), loop).result(600)
        try:
            expected = "T3" if place == "T3" else settings.highest
            if pool.capabilities().tier != expected:
                pytest.skip(f"{expected} does not hold here")
            yield Box(pool, loop, place)
        finally:
            asyncio.run_coroutine_threadsafe(pool.close(), loop).result(600)


def scientific_pod() -> AbstractContextManager[SandboxPod]:
    """With packages, where its interpreter can load those of this one."""
    code = "import sys; print(sys.version_info[:2])"
    found = subprocess.run([sandbox_interpreter(), "-c", code], stdout=subprocess.PIPE, text=True)
    fits = found.stdout.strip() == str(sys.version_info[:2])
    return sandbox_pod(make=partial(SandboxPod, beside=scientific() if fits else ()))


@contextmanager
def _looping() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
