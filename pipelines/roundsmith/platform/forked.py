"""Children of this process that one fork server has made, which imported for all of them."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from roundsmith.children import Child, execute
from roundsmith.config import child_environment
from roundsmith.platform.fork_server import Request

log = logging.getLogger(__name__)

_PR_SET_CHILD_SUBREAPER = 36
_TRIES = 2
"""The first may find a server that was killed."""
ANSWER_S = 120.0
"""A server that has not imported and forked by then is ended: it may be stopped."""
_ROOM = " " * 4000
"""For the command lines of children."""


class Forked:
    """A child that is there, whoever forked it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._over = asyncio.Event()
        self._descriptor = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._end)

    async def wait(self) -> int:
        """The return code, when it has ended."""
        await self._over.wait()
        assert self.returncode is not None
        return self.returncode

    def terminate(self) -> None:
        """SIGTERM. Raises ProcessLookupError when it has ended."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL. Raises ProcessLookupError when it has ended."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.returncode is not None:
            raise ProcessLookupError(self.pid)
        signal.pidfd_send_signal(self._descriptor, number)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._over.set()


class ForkServer:
    """Starts processes by a fork server, which begins with the first of them, and anew when it was
    killed. Where it can not import or fork, this one and all later processes are started with
    interpreters of their own.
    """

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self._answer_s, self._forks = answer_s, True
        self._turn = asyncio.Lock()
        self._server: asyncio.subprocess.Process | None = None
        self._socket: socket.socket | None = None

    async def start(
        self,
        module: str,
        arguments: Sequence[str],
        output: BinaryIO,
        environment: Mapping[str, str],
        own_session: bool,
    ) -> Child:
        """As `execute` does. It ends with this process only where it asks for that itself."""
        request = Request(module, list(arguments), dict(environment), own_session)
        async with self._turn:
            for _ in range(_TRIES if self._forks else 0):
                try:
                    # The server ended or is stopped, or the kernel has no pidfd_open.
                    with contextlib.suppress(OSError):
                        async with asyncio.timeout(self._answer_s):
                            if child := await self._fork(request, output):
                                return child
                except BaseException:
                    await self._close()
                    raise
                await self._close()
            if self._forks:
                log.warning("no fork server answers: what loads a model imports for itself")
            self._forks = False
        return await execute(module, arguments, output, environment, own_session)

    async def close(self) -> None:
        """Ends the server; its children stay."""
        async with self._turn:
            await self._close()

    async def _fork(self, request: Request, output: BinaryIO) -> Forked | None:
        """The child, or None where the server has ended or its child is not ours. Raises OSError
        where it can not be asked.
        """
        loop = asyncio.get_running_loop()
        if self._server is None or self._server.returncode is not None:
            asking = await self._begin()
            # It imports for seconds, in which an orphan would be left a zombie of this process.
            if not await loop.sock_recv(asking, 1):
                return None
        assert self._socket is not None
        answer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        answer.setblocking(False)
        with answer, _adopting_orphans():
            with theirs:
                request.send(self._socket, output.fileno(), theirs)
            said = await loop.sock_recv(answer, 64)
            if not said:
                return None
            pid, parent = map(int, said.split())
            if parent != os.getpid():
                return None
            child = Forked(pid)
            with contextlib.suppress(BrokenPipeError):  # it was killed meanwhile
                answer.send(b"!")
            return child

    async def _begin(self) -> socket.socket:
        """Starts a server; its socket, over which it says when it has imported."""
        await self._close()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        with theirs:
            module = "roundsmith.platform.fork_server"
            self._server = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, str(theirs.fileno()), _ROOM),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,  # where it fails, a child tells of the same
                env=child_environment(PYTHONUNBUFFERED="1"),
                pass_fds=(theirs.fileno(),),
            )
        return self._socket

    async def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                self._server.kill()
            await self._server.wait()
            self._server = None


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Meanwhile what was started below this process, and whose parent ends, becomes its child."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0)
