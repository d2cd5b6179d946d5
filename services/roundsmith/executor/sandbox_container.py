"""The sandbox container as the worker beside it sees it: who asks for supervisors, and counts them.

The worker listens on a socket in a directory that both containers mount. The sandbox's process 1
connects once; then the socket is taken away, and nothing in the sandbox can connect any more. For
each supervisor the worker makes a pair of sockets and hands one end over, so no supervisor ever
holds another one's.
"""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from roundsmith.errors import ConfigError, Overloaded, PlatformError, SandboxError, Unavailable
from roundsmith.executor.settings import SandboxWorkerSettings
from roundsmith.sandbox.codec import HEADER, CodecError, decode
from roundsmith.sandbox.pod import START

log = logging.getLogger(__name__)

_ABOUT_S, _END_S = 15.0, 15.0
_MOST_ABOUT = 4096
_CHUNK = 2**18
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class SupervisorSocket:
    """A supervisor that was started, and the worker's end of its socket."""

    pid: int
    image: str
    sandbox_id: str
    memory_bytes: int
    uid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def hang_up(self) -> None:
        """Has process 1 end the supervisor, whatever is still unsent; the reader then ends."""
        _hang_up(self.writer)


class SandboxContainer:
    """At most one connection to the sandbox's process 1, and at most so many supervisors."""

    def __init__(self, settings: SandboxWorkerSettings) -> None:
        self._path, self.max_supervisors = settings.socket, settings.max_supervisors
        self._connect_s = settings.connect_s
        self._control: socket.socket | None = None
        self._connected = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._num_supervisors = 0
        self._uid = 0

    async def start(self) -> None:
        """Listens, and waits for the sandbox container. Raises ConfigError when it can not listen,
        PlatformError when nobody connects.
        """
        self._watching = asyncio.create_task(self._watch(self._listen()))
        try:
            async with asyncio.timeout(self._connect_s):
                await self._connected.wait()
        except TimeoutError as error:
            raise PlatformError(
                f"{self._path}: expected the sandbox container to connect within "
                f"{self._connect_s:.0f} s, saw nobody: start `python3 -m roundsmith.sandbox.pod "
                "--socket` with the same path in a container that mounts the same directory; in "
                "gVisor, let containerd hand on the pod's annotations dev.gvisor.*"
            ) from error

    async def close(self) -> None:
        """Goes away; the sandbox then ends every supervisor."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    @asynccontextmanager
    async def supervisor(self) -> AsyncIterator[SupervisorSocket]:
        """A fresh supervisor for the length of the block, after which nothing of it is left.

        Raises Overloaded, Unavailable while the sandbox container is not there, or SandboxError
        when it starts none.
        """
        if self._num_supervisors >= self.max_supervisors:
            raise Overloaded(f"{self.max_supervisors} supervisors run, which is all: ask another")
        self._num_supervisors += 1
        try:
            reader, writer = await asyncio.open_unix_connection(sock=self._ask(), limit=_CHUNK)
            self._writers.add(writer)
            try:
                yield await self._about(reader, writer)
            finally:
                await _end(reader, writer)
                self._writers.discard(writer)
        finally:
            self._num_supervisors -= 1

    def _ask(self) -> socket.socket:
        """The worker's end of a pair of which process 1 gets the other."""
        if self._control is None:
            raise Unavailable("the sandbox container is not connected: ask again, or another pod")
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [START], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise Unavailable(f"the sandbox container takes no more: {error}") from error
        finally:
            theirs.close()
        return ours

    async def _about(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> SupervisorSocket:
        try:
            async with asyncio.timeout(_ABOUT_S):
                (size,) = HEADER.unpack(await reader.readexactly(HEADER.size))
                about = await reader.readexactly(min(size, _MOST_ABOUT))
            pid, image, sandbox_id, memory_bytes = decode(about)
        except (TimeoutError, OSError, EOFError, CodecError, TypeError, ValueError) as error:
            raise SandboxError(f"the sandbox container started no supervisor: {error!r}") from error
        return SupervisorSocket(pid, image, sandbox_id, memory_bytes, self._uid, reader, writer)

    async def _watch(self, listener: socket.socket) -> None:
        """One connection after the other, each until it ends."""
        loop = asyncio.get_running_loop()
        while True:
            with listener:
                control, _ = await loop.sock_accept(listener)
            os.unlink(self._path)
            with control:
                self._take(control)
                try:
                    with contextlib.suppress(ConnectionError):
                        await loop.sock_recv(control, 1)  # it never speaks: this is its end
                finally:
                    self._control = None
                    self._connected.clear()
                    for writer in self._writers:
                        writer.transport.abort()
            log.warning("the sandbox container went away; waiting for it")
            listener = self._listen()

    def _take(self, control: socket.socket) -> None:
        credentials = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self._uid = _CREDENTIALS.unpack(credentials)[1]
        if self._uid == os.geteuid():
            log.warning("worker and sandbox have one user, %d: give each its own", self._uid)
        self._control = control
        self._connected.set()
        log.info("the sandbox container is connected, user %d", self._uid)

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.setblocking(False)
        try:
            self._path.unlink(missing_ok=True)
            listener.bind(str(self._path))
            os.chmod(self._path, 0o666)  # the sandbox has another user; the directory is the pod's
            listener.listen(1)
        except OSError as error:
            listener.close()
            raise ConfigError(
                f"--socket {self._path}: expected a path to listen on, saw {error}: give one of at "
                "most 107 bytes in a directory that exists and that this user may write"
            ) from error
        return listener


async def _end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Has the supervisor ended, and waits until process 1 says that nothing of it is left."""
    _hang_up(writer)
    try:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_END_S):
                while await reader.read(_CHUNK):
                    continue
    finally:
        writer.transport.abort()


def _hang_up(writer: asyncio.StreamWriter) -> None:
    # Nothing is connected any more where process 1 was faster.
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
