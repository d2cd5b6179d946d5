"""The worker of a sandbox pod and the sandbox's process 1, with an enemy there."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from roundsmith.executor.pool import Pool
from roundsmith.sandbox.codec import HEADER
from roundsmith.sandbox.starting import Told, Wanted
from roundsmith.types import CallTest, ExecuteItem, Program
from roundsmith.v1 import sandbox_pb2 as pb2
from roundsmith.v1.sandbox_pb2_grpc import SandboxServiceStub
from tests.services.executor.sandbox_pod import (
    SANDBOX_USER,
    SandboxPod,
    as_sandbox,
    sandbox_interpreter,
    sandbox_pod,
)

MOST = 3
Call = grpc.aio.StreamStreamCall[pb2.AttachRequest, pb2.AttachResponse]
Stream = AbstractAsyncContextManager[tuple[Call, pb2.StartedSupervisor]]


@pytest.fixture(scope="module")
def pod() -> Iterator[SandboxPod]:
    with sandbox_pod(supervisors=MOST) as pod:
        yield pod


@asynccontextmanager
async def attached(
    pod: SandboxPod, timeout: float | None = 600
) -> AsyncIterator[tuple[Call, pb2.StartedSupervisor]]:
    """A stream of its own connection, and what it says was started."""
    async with grpc.aio.insecure_channel(pod.address) as channel:
        call: Call = SandboxServiceStub(channel).Attach(timeout=timeout)
        try:
            first = await call.read()
            assert isinstance(first, pb2.AttachResponse)
            yield call, first.started
        finally:
            call.cancel()


def with_stream(
    pod: SandboxPod, work: Callable[[Call, pb2.StartedSupervisor], Awaitable[Any]]
) -> None:
    async def main() -> None:
        async with attached(pod) as (call, started):
            await work(call, started)

    asyncio.run(main())
    until(lambda: not pod.processes() and not list(pod.scratch.iterdir()))


async def frame(call: Call) -> bytes:
    """The next frame of the supervisor."""
    read = b""
    while len(read) < HEADER.size or len(read) < HEADER.size + HEADER.unpack_from(read)[0]:
        response = await call.read()
        assert isinstance(response, pb2.AttachResponse), "the stream ended"
        read += response.content
    return read[HEADER.size :]


async def send(call: Call, content: bytes) -> None:
    await call.write(pb2.AttachRequest(content=HEADER.pack(len(content)) + content))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.05)


def lives(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def test_the_first_response_says_what_was_started(pod: SandboxPod) -> None:
    async def look(call: Call, started: pb2.StartedSupervisor) -> None:
        assert started.image.startswith("python-3.")
        assert started.uid == (SANDBOX_USER if pod.other_user else os.geteuid())
        assert (started.max_supervisors, started.max_content_bytes) == (MOST, 2**20)
        assert os.stat(f"/proc/{started.pid}").st_uid in (started.uid, 0)
        assert str(started.pid) in pod.processes()
        await send(call, Wanted(False, 1, True).pack())
        told = Told.unpack(await frame(call))
        assert told._replace(profiles=[], missing={}) == Told(True, "", [], [], "", [], {})
        assert told.profiles[0] == "base"

    with_stream(pod, look)


def test_one_supervisor_too_many_is_refused_until_another_ends(pod: SandboxPod) -> None:
    async def crowd() -> None:
        opened = [await place() for _ in range(MOST)]
        streams, started = [stream for stream, _ in opened], [one for _, one in opened]
        assert len({one.pid for one in started}) == MOST
        assert len({one.sandbox_id for one in started}) == 1
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async with attached(pod):
                pass
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await streams.pop().__aexit__(None, None, None)
        streams.append((await place())[0])
        for stream in streams:
            await stream.__aexit__(None, None, None)

    async def place() -> tuple[Stream, pb2.StartedSupervisor]:
        """One more, once the worker has seen that nothing of another is left."""
        for _ in range(1200):
            stream = attached(pod)
            with contextlib.suppress(grpc.aio.AioRpcError):
                return stream, (await stream.__aenter__())[1]
            await asyncio.sleep(0.1)
        raise AssertionError("no place is free")

    asyncio.run(crowd())
    until(lambda: not pod.processes())


def test_content_that_is_too_large_ends_the_stream_with_the_reason(pod: SandboxPod) -> None:
    async def flood(call: Call, started: pb2.StartedSupervisor) -> None:
        await call.write(pb2.AttachRequest(content=bytes(2**20 + 1)))
        with pytest.raises(grpc.aio.AioRpcError, match="expected at most 1048576") as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    with_stream(pod, flood)


def test_a_stream_without_a_deadline_is_refused(pod: SandboxPod) -> None:
    async def endless() -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="deadline"):
            async with attached(pod, timeout=None):
                pass

    asyncio.run(endless())


def test_the_callers_end_of_the_stream_ends_the_supervisor(pod: SandboxPod) -> None:
    async def end(call: Call, started: pb2.StartedSupervisor) -> None:
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert not lives(started.pid), "the stream ended before its supervisor"

    with_stream(pod, end)


def test_the_end_of_the_supervisor_ends_the_stream(pod: SandboxPod) -> None:
    async def die(call: Call, started: pb2.StartedSupervisor) -> None:
        os.kill(started.pid, signal.SIGKILL)
        assert await call.read() is grpc.aio.EOF

    with_stream(pod, die)


def test_a_supervisor_that_reads_nothing_more_is_killed_with_its_stream(pod: SandboxPod) -> None:
    async def stop(call: Call, started: pb2.StartedSupervisor) -> None:
        await send(call, Wanted(False, 1, True).pack())
        await frame(call)
        # The supervisor and its zygote: what it probed with may still be about to go.
        await asyncio.to_thread(until, lambda: len(pod.processes()) == 2)
        os.kill(started.pid, signal.SIGSTOP)
        for _ in range(4):
            await call.write(pb2.AttachRequest(content=bytes(2**20)))

    with_stream(pod, stop)


def test_a_worker_that_is_told_to_end_ends_its_streams_at_once() -> None:
    async def told(call: Call, started: pb2.StartedSupervisor) -> None:
        begun = time.monotonic()
        own.worker.terminate()
        assert await call.read() is grpc.aio.EOF
        assert await asyncio.to_thread(own.worker.wait) == 0
        assert time.monotonic() - begun < 120

    with sandbox_pod() as own:
        with_stream(own, told)


def test_a_sandbox_that_is_told_to_end_leaves_nothing() -> None:
    async def told(call: Call, started: pb2.StartedSupervisor) -> None:
        own.init.terminate()
        assert await asyncio.to_thread(own.init.wait) == 0
        assert not lives(started.pid)

    with sandbox_pod() as own:
        with_stream(own, told)


def test_a_worker_without_a_sandbox_says_what_it_waited_for(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from roundsmith.executor.settings import SandboxWorkerSettings\n"
        "from roundsmith.executor.worker import start\n"
        "settings = SandboxWorkerSettings(socket=Path(sys.argv[1]), connect_s=0.2)\n"
        "asyncio.run(start(settings))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "s.sock")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "expected the sandbox container to connect within 0 s, saw nobody" in done.stderr


ATTACKS = {
    "connect": "import socket\ndef f(path, pid):\n"
    "    socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(path)\n",
    "look": "import os\ndef f(path, pid):\n    return os.listdir(os.path.dirname(path))\n",
    "plant": "import os\ndef f(path, pid):\n    os.symlink('x', path)\n",
    "signal": "import os\ndef f(path, pid):\n    os.kill(pid, 9)\n",
    "stop": "import os\ndef f(path, pid):\n    os.kill(pid, 19)\n",
    "everyone": "import os\ndef f(path, pid):\n    os.kill(-1, 9)\n",
    "memory": "def f(path, pid):\n    open(f'/proc/{pid}/mem', 'rb')\n",
    "descriptors": "import os\ndef f(path, pid):\n    return os.listdir(f'/proc/{pid}/fd')\n",
    "neighbours": "import os\ndef f(path, pid):\n    return os.listdir('..')\n",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_program_can_not_reach_what_stands_around_it(pod: SandboxPod, attack: str) -> None:
    arguments = (str(pod.socket), pod.init.pid)
    item = ExecuteItem(
        attack, (Program("c", ATTACKS[attack]),), (CallTest("t", "f", arguments, None),)
    )

    async def attacked() -> str:
        async with Pool(pod.settings(slots=1)) as pool:
            (outcome,) = [outcome async for outcome in pool.execute(item)]
            return outcome.verdict.value

    assert asyncio.run(attacked()) == "DENIED"
    assert pod.init.poll() is None
    assert pod.worker.poll() is None


@pytest.mark.parametrize("how", ["os.fork()", "os.posix_spawn('/bin/sleep', ['sleep', '999'], {})"])
def test_a_program_leaves_no_background_process(pod: SandboxPod, how: str) -> None:
    source = f"import os\ndef f():\n    if {how} == 0:\n        while True: pass\n"
    item = ExecuteItem("i", (Program("c", source),), (CallTest("t", "f", (), None),))

    async def attacked() -> str:
        async with Pool(pod.settings(slots=1)) as pool:
            (outcome,) = [outcome async for outcome in pool.execute(item)]
            # What the pool of the test before had there goes a moment after it.
            await asyncio.to_thread(until, lambda: len(pod.processes()) == 2)
            return outcome.verdict.value

    assert asyncio.run(attacked()) == "PROCESS_LIMIT"


ESCAPED = """
import os, socket, sys
path, *pids = sys.argv[1:]
def refused(work):
    try: work()
    except OSError: return
    sys.exit(f"{work.__name__} worked")
def connects(): socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(path)
def plants(): socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(path)
refused(connects)
refused(plants)
for pid in pids:
    def lists(): os.listdir(f"/proc/{pid}/fd")
    def reads(): open(f"/proc/{pid}/mem", "rb")
    def takes(): os.pidfd_open(int(pid)) and os.readlink(f"/proc/{pid}/exe")
    for attempt in (lists, reads, takes): refused(attempt)
"""


def test_a_process_of_the_sandbox_user_outside_of_every_box_can_not_pose_as_a_supervisor(
    pod: SandboxPod,
) -> None:
    """As after a break of seccomp and Landlock: no socket to take, no neighbour to read."""
    if not pod.other_user:
        pytest.skip("the tests may not change users, so that worker and sandbox have the same")
    script = pod.folder / "escaped.py"
    script.write_text(ESCAPED)

    async def escape(call: Call, started: pb2.StartedSupervisor) -> None:
        await send(call, Wanted(False, 1, True).pack())
        await frame(call)
        pids = [str(pod.init.pid), str(pod.worker.pid), *pod.processes()]
        command = [sandbox_interpreter(), str(script), str(pod.socket), *pids]
        done = await asyncio.to_thread(
            subprocess.run, as_sandbox(command), capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")

    with_stream(pod, escape)
