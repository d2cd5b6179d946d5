"""Supervisors as processes of this machine, each on a socket."""

import asyncio
import shutil
import socket
import subprocess
import tempfile

from roundsmith.executor.supervisor import Slot, Started, SupervisorLost
from roundsmith.sandbox import boot


class ProcessSupervisors:
    """Starts them as children of this process."""

    async def open(self, slot: Slot) -> "ProcessLink":
        """A fresh supervisor process."""
        ours, theirs = socket.socketpair()
        # With a mount namespace the children's directory is theirs alone and needs no place here.
        scratch = "" if slot.isolate else tempfile.mkdtemp(prefix="roundsmith-box-")
        process = boot.spawn(theirs, scratch)
        theirs.close()
        return ProcessLink(process, scratch, *await asyncio.open_unix_connection(sock=ours))

    async def close(self) -> None:
        """Nothing is shared between links."""


class ProcessLink:
    """A socket to a child process."""

    expired = False

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        scratch: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process, self._scratch = process, scratch
        self._reader, self._writer = reader, writer
        self.started = Started(process.pid, boot.image(), "this machine")

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
