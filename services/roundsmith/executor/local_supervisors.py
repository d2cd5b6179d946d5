"""Supervisors as processes of this machine, each on a socket."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile

from roundsmith.errors import SandboxError
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.supervisor import Slot, Started, SupervisorLost
from roundsmith.sandbox import boot

BOX_PREFIX = "roundsmith-box-"


class ProcessSupervisors:
    """Starts them as children of this process."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self._recycle_runs = settings.recycle_runs

    async def open(self, slot: Slot) -> "ProcessLink":
        """A fresh supervisor process. Raises SandboxError."""
        try:
            return await self._open(slot)
        except OSError as error:  # no room, no memory, too many processes
            raise SandboxError(f"a supervisor could not be started: {error}") from error

    async def _open(self, slot: Slot) -> "ProcessLink":
        # With a mount namespace the children's directory is theirs alone and needs no place here.
        scratch = "" if slot.isolate else tempfile.mkdtemp(prefix=BOX_PREFIX)
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = boot.spawn(theirs, scratch)
            except OSError:
                ours.close()
                if scratch:
                    os.rmdir(scratch)
                raise
        streams = await asyncio.open_unix_connection(sock=ours)
        return ProcessLink(process, scratch, *streams, self._recycle_runs)

    def distrust(self, started: Started) -> None:
        """The next one is another process: it stands or falls by itself."""

    async def close(self) -> None:
        """Nothing is shared between links."""


class ProcessLink:
    """A socket to a child process."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        scratch: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        most_runs: int,
    ) -> None:
        self._process, self._scratch = process, scratch
        self._runs_left = most_runs
        self._reader, self._writer = reader, writer
        self.started = Started(process.pid, boot.image(), "this machine")

    @property
    def expired(self) -> bool:
        """Whether it has had its runs."""
        return self._runs_left <= 0

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def begin_run(self) -> None:
        """One less is left."""
        self._runs_left -= 1

    def end_run(self) -> None:
        """Nothing waits for it."""

    async def send(self, content: bytes) -> None:
        """Buffers what the supervisor does not read yet: it reads a run before it answers."""
        self._writer.write(content)

    async def receive(self, size: int) -> bytes:
        """Raises SupervisorLost when the process ends first."""
        try:
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise SupervisorLost("the supervisor ended") from error

    async def close(self) -> None:
        """Kills the process, with which its zygote and children end."""
        self._writer.close()
        self._process.kill()
        self._process.wait()
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
