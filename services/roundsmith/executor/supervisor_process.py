"""One supervisor as the server sees it: a process started by exec, a socket, one run at a time."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import roundsmith.sandbox
from roundsmith.errors import SandboxError
from roundsmith.sandbox.codec import HEADER, CodecError, decode, encode
from roundsmith.sandbox.runs import Event, Run
from roundsmith.sandbox.supervisor import CANCEL, RUN

_START_S = 20.0
_BOOT = """import sys
sys.path.append(sys.argv[2])
from roundsmith.sandbox.supervisor import main
sys.path.remove(sys.argv[2])
main(int(sys.argv[1]))
"""
# All that a program finds in its environment.
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
}


class SupervisorLost(SandboxError):
    """The supervisor or its zygote ended; what it was running is not known."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one supervisor belongs: its number, its import profile, whether it enters namespaces,
    its users.
    """

    number: int
    profile: str
    isolate: bool
    uid_base: int


class SupervisorProcess:
    """A started supervisor. `interfaces` are those of its network namespace, empty without one."""

    def __init__(self, process: subprocess.Popen[bytes], scratch: str) -> None:
        self._process, self._scratch = process, scratch
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self.interfaces: list[str] = []
        self.idle = True

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, slot: Slot) -> "SupervisorProcess":
        """Starts one and waits until its zygote is ready. Raises SandboxError with what the kernel
        refused.
        """
        ours, theirs = socket.socketpair()
        # With a mount namespace the children's directory is theirs alone and needs no place here.
        scratch = "" if slot.isolate else tempfile.mkdtemp(prefix="roundsmith-box-")
        supervisor = cls(_spawn(theirs), scratch)
        theirs.close()
        supervisor._reader, supervisor._writer = await asyncio.open_unix_connection(sock=ours)
        try:
            await asyncio.wait_for(supervisor._set_up(slot), _START_S)
        except (TimeoutError, SandboxError) as error:
            await supervisor.close()
            raise SandboxError(f"a supervisor did not start: {error or 'no answer'}") from error
        return supervisor

    async def _set_up(self, slot: Slot) -> None:
        self._send(
            encode((slot.isolate, slot.uid_base + 2 * slot.number, slot.profile, self._scratch))
        )
        ready, why, self.interfaces = decode(await self._receive())
        if not ready:
            raise SandboxError(why)

    async def run(self, run: Run) -> AsyncGenerator[Event, None]:
        """Events as they come. Raises SupervisorLost when the supervisor ends first.

        Leaving the iteration early (aclose) cancels the run and waits until no process of it is
        left.
        """
        self.idle, last = False, False
        self._send(RUN + run.pack())
        try:
            while not last:
                last, events = await self._batch()
                for event in events:
                    yield event
        finally:
            self.idle = last or await self._cancel()

    async def _batch(self) -> tuple[bool, list[Event]]:
        try:
            last, events = decode(await self._receive(), 2**31, 8)
        except CodecError as error:
            raise SupervisorLost(f"the supervisor sent no event: {error}") from error
        return last, events

    async def _cancel(self) -> bool:
        """Whether the run was ended and the supervisor is idle again."""
        try:
            self._send(CANCEL)
            while not (await self._batch())[0]:
                continue
        except SupervisorLost:
            return False
        return True

    def _send(self, content: bytes) -> None:
        self._writer.write(HEADER.pack(len(content)) + content)

    async def _receive(self) -> bytes:
        try:
            (size,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise SupervisorLost("the supervisor ended") from error

    async def close(self) -> None:
        """Ends the supervisor, its zygote and every child, and removes its directory."""
        self._writer.close()
        self._process.kill()
        self._process.wait()
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)


def _spawn(theirs: socket.socket) -> subprocess.Popen[bytes]:
    root = str(Path(next(iter(roundsmith.sandbox.__path__))).parents[1])
    interpreter = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    return subprocess.Popen(
        [interpreter, "-B", "-s", "-S", "-P", "-c", _BOOT, str(theirs.fileno()), root],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        start_new_session=True,
        cwd="/",
    )
