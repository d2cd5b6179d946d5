"""Children of a fork server: as those of an interpreter of their own, whatever ends when."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from roundsmith.children import Child, Start, execute
from roundsmith.config import child_environment
from roundsmith.platform.forked import ForkServer
from tests.processes import alive, children, command_line

MODULE = "tests.pipelines.platform.telling_child"
SERVER = b"roundsmith.platform.fork_server"
PATIENCE_S = 300.0


async def begun(start: Start, log: Path, word: str, own_session: bool = True) -> Child:
    """A child that tells how it finds itself."""
    with log.open("wb") as output:
        environment = child_environment(SAID="to it")
        return await start(MODULE, [word, "two words"], output, environment, own_session)


async def told(log: Path) -> dict[str, Any]:
    """What a child told, when it has."""
    deadline = time.monotonic() + PATIENCE_S
    while not (said := log.read_text()).endswith("\n"):
        assert time.monotonic() < deadline, said
        await asyncio.sleep(0.05)
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def servers(parent: int) -> list[int]:
    """The living fork servers of a process."""
    return [pid for pid in children(parent) if SERVER in command_line(pid)]


async def loading(parent: int) -> int:
    """The fork server of a process, stopped before it has imported anything."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := servers(parent)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    os.kill(found[0], signal.SIGSTOP)
    return found[0]


@pytest.mark.slow
@pytest.mark.parametrize("interrupt", [signal.default_int_handler, signal.SIG_IGN])
def test_a_forked_child_finds_what_one_with_an_interpreter_of_its_own_finds(
    tmp_path: Path, interrupt: Any
) -> None:
    async def play() -> None:
        forks = ForkServer()
        try:
            for own_session in (True, False):
                found = []
                for name, start in (("forked", forks.start), ("executed", execute)):
                    child = await begun(start, tmp_path / name, "go", own_session)
                    assert await child.wait() == child.returncode == 7
                    with pytest.raises(ProcessLookupError):
                        child.kill()
                    found.append(await told(tmp_path / name))
                assert found[0] == found[1]
                assert found[0]["parent"] == os.getpid()
                assert found[0]["leads"] is own_session
            assert len(servers(os.getpid())) == 1, "one forks all"
        finally:
            await forks.close()
        assert not servers(os.getpid())

    usual = signal.signal(signal.SIGINT, interrupt)
    try:
        asyncio.run(play())
    finally:
        signal.signal(signal.SIGINT, usual)


@pytest.mark.slow
def test_two_children_of_one_server_draw_different_numbers(tmp_path: Path) -> None:
    async def play() -> None:
        forks, drawn = ForkServer(), []
        try:
            for name in ("first", "second"):
                child = await begun(forks.start, tmp_path / name, "draw")
                assert await child.wait() == 7
                drawn += (await told(tmp_path / name))["drawn"]
            assert len(servers(os.getpid())) == 1
        finally:
            await forks.close()
        assert len(set(drawn)) == 4

    asyncio.run(play())


@pytest.mark.slow
def test_children_outlive_their_server_and_the_next_have_another(tmp_path: Path) -> None:
    async def play() -> None:
        forks = ForkServer()
        try:
            first = await begun(forks.start, tmp_path / "first", "stay")
            await told(tmp_path / "first")
            (server,) = servers(os.getpid())
            os.kill(server, signal.SIGKILL)
            second = await begun(forks.start, tmp_path / "second", "stay")
            await told(tmp_path / "second")
            (again,) = servers(os.getpid())
            assert again != server
            assert first.returncode is second.returncode is None
            first.kill()
            second.terminate()
            assert await first.wait() == first.returncode == -signal.SIGKILL
            assert await second.wait() == second.returncode == -signal.SIGTERM
        finally:
            await forks.close()

    asyncio.run(play())


def test_where_nothing_can_be_imported_for_all_a_child_is_started_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "transformers.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def play() -> int:
        forks = ForkServer()
        try:
            return await (await begun(forks.start, tmp_path / "log", "go")).wait()
        finally:
            await forks.close()

    assert asyncio.run(play()) == 7


def test_a_start_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    async def play() -> set[int]:
        before, forks = set(children(os.getpid())), ForkServer()
        starting = asyncio.create_task(begun(forks.start, tmp_path / "log", "stay"))
        while not servers(os.getpid()):
            await asyncio.sleep(0.02)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        return set(children(os.getpid())) - before

    assert asyncio.run(play()) == set()


def test_a_server_that_is_stopped_holds_up_no_start(tmp_path: Path) -> None:
    async def play() -> int:
        forks = ForkServer(answer_s=1.0)
        try:
            starting = asyncio.create_task(begun(forks.start, tmp_path / "log", "go"))
            stopped = await loading(os.getpid())
            child = await starting
            assert not alive(stopped)
            return await child.wait()
        finally:
            await forks.close()

    assert asyncio.run(play()) == 7


def test_an_orphan_is_not_adopted_while_a_server_imports(tmp_path: Path) -> None:
    async def play() -> None:
        starting = asyncio.create_task(begun(ForkServer().start, tmp_path / "log", "go"))
        await loading(os.getpid())
        orphan = int(subprocess.check_output(["sh", "-c", "sleep 600 >&2 & echo $!"]))
        try:
            assert orphan not in children(os.getpid())
        finally:
            os.kill(orphan, signal.SIGKILL)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting

    asyncio.run(play())


RUN = """
import asyncio, sys
from pathlib import Path
from roundsmith.platform.forked import ForkServer
from tests.pipelines.platform.test_forked import begun, told
async def play():
    await begun(ForkServer().start, Path(sys.argv[1]), "stay")
    await told(Path(sys.argv[1]))
    print("told", flush=True)
    await asyncio.sleep(600)
asyncio.run(play())
"""


@pytest.mark.slow
def test_a_server_ends_with_its_run_however_that_ends(tmp_path: Path) -> None:
    words = [sys.executable, "-c", RUN, str(tmp_path / "log")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"told\n"
        (server,) = servers(run.pid)
        (child,) = (pid for pid in children(run.pid) if pid != server)
        run.kill()
        run.wait()
    os.kill(child, signal.SIGKILL)  # this one did not ask to end with it
    deadline = time.monotonic() + PATIENCE_S
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(server)
