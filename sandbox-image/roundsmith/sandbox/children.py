"""The supervisor's view of its children: starts and kills them, sees how they ended."""

import array
import contextlib
import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence

from roundsmith.sandbox.frames import FrameBuffer
from roundsmith.sandbox.hardening import RunLimits
from roundsmith.sandbox.zygote import CHILD_ID, EXITED, EXITED_BODY, FORK, KILL

# Linux's own number; the socket module has no name for it.
SO_PASSCRED = 16
_CHUNK = 1 << 16
_FIONREAD, _SIZE = 0x541B, struct.Struct("i")


class ZygoteGone(Exception):
    """The zygote ended: the supervisor must end too, and the server starts another."""


class Cancelled(Exception):
    """The server wants no more of this run."""


class Child:
    """One running child."""

    def __init__(self, child_id: int, control: socket.socket, streams: Sequence[int]) -> None:
        self.child_id, self.control = child_id, control
        self.streams = {fd: bytearray() for fd in streams}
        """Standard output and error by descriptor: what was read since the last question."""
        self.pid = 0
        self.greeted = False
        """Whether it said that it is confined: only before that can a setup fail."""
        self.poll = select.poll()
        self.frames = FrameBuffer()
        self.exit_status: int | None = None
        self.cpu_at_exit_s = 0.0
        self.waited_s = 0.0
        """What `Children.waited_s` said last."""
        self.closed = False

    def cpu_s(self) -> float:
        """CPU seconds so far, as the kernel counts them for the whole process."""
        if self.exit_status is not None or not self.pid:
            return self.cpu_at_exit_s
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return self.cpu_at_exit_s

    def forget_output(self) -> None:
        """What was printed is of no interest any more."""
        for stream in self.streams.values():
            stream.clear()

    def drain(self, most: int, sizes: Mapping[int, int] | None) -> bool:
        """Takes what was printed, or so much by stream; whether that is `most` bytes at most."""
        for fd, stream in self.streams.items():
            end = None if sizes is None else len(stream) + sizes.get(fd, 0)
            try:
                while end != len(stream) and self._printed() <= most:
                    chunk = os.read(fd, _CHUNK if end is None else min(_CHUNK, end - len(stream)))
                    if not chunk:
                        # A stream at its end is read again before every answer.
                        with contextlib.suppress(KeyError):
                            self.poll.unregister(fd)
                        break
                    stream += chunk
            except BlockingIOError:
                continue
        return self._printed() <= most

    def _printed(self) -> int:
        return sum(map(len, self.streams.values()))


class Children:
    """Starts children and talks with them; one caller, no threads."""

    def __init__(self, zygote: socket.socket, server: int, proc: int) -> None:
        self._zygote, self._server, self._proc = zygote, server, proc
        self._empty = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._alive: dict[int, Child] = {}
        self._ending: dict[int, Child] = {}
        self.last_id = 0
        """The number of the child that was started last."""

    def start(self, limits: RunLimits, stdin: bytes = b"", program: int | None = None) -> Child:
        """A child that is confined before it reads its first frame, which may be sent at once.
        `stdin` is sealed memory, so that nothing can change it; `program` is a memory that is given
        too, in a profile of another language.
        """
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
        ours.setblocking(False)
        out_read, out_write = os.pipe()
        error_read, error_write = os.pipe()
        given = [_sealed(stdin) if stdin else self._empty, out_write, error_write, theirs.fileno()]
        given += [] if program is None else [program]
        self.last_id += 1
        self._zygote.sendmsg(
            [FORK, CHILD_ID.pack(self.last_id), limits.pack()],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))],
        )
        theirs.close()
        for fd in given[not stdin : 3]:
            os.close(fd)
        return self.adopt(Child(self.last_id, ours, [out_read, error_read]))

    @property
    def zygote(self) -> int:
        """The descriptor of the zygote's socket."""
        return self._zygote.fileno()

    def adopt(self, child: Child) -> Child:
        """Watches over a child that the zygote was asked for."""
        # The kernel looks at descriptors in this order: whatever was printed before an answer shows
        # together with it, because the answer's socket is looked at first.
        child.poll.register(child.control, select.POLLIN)
        for fd in child.streams:
            os.set_blocking(fd, False)
            child.poll.register(fd, select.POLLIN)
        child.poll.register(self._zygote, select.POLLIN)
        child.poll.register(self._server, select.POLLIN)
        self._alive[child.child_id] = child
        return child

    def _hear_zygote(self) -> None:
        message = self._zygote.recv(256)
        if message[:1] != EXITED:
            raise ZygoteGone
        child_id, status, cpu_us = EXITED_BODY.unpack(message[1:])
        child = self._ending.pop(child_id, None) or self._alive[child_id]
        child.cpu_at_exit_s, child.exit_status = cpu_us / 1e6, status

    def end(self, child: Child) -> None:
        """Has the child killed and everything of its pid namespace; `settle` waits for it."""
        if child.exit_status is None:
            self._zygote.send(KILL + CHILD_ID.pack(child.child_id))
            self._ending[child.child_id] = child
        child.control.close()
        for fd in child.streams:
            os.close(fd)
        del self._alive[child.child_id]

    def kill(self, child: Child) -> None:
        """Kills a child that lives, and waits until it is reaped."""
        if child.exit_status is None:
            self._zygote.send(KILL + CHILD_ID.pack(child.child_id))
        while child.exit_status is None:
            self._hear_zygote()

    def ends(self, child: Child, within_s: float) -> bool:
        """Whether the child ends without being killed, and soon. Raises as `hear` does."""
        poll = select.poll()
        for fd in (self._zygote.fileno(), self._server):
            poll.register(fd, select.POLLIN)
        until = time.monotonic() + within_s
        while child.exit_status is None and (left_s := until - time.monotonic()) > 0:
            for fd, _ in poll.poll(left_s * 1000 + 1):
                self.hear(fd)
        return child.exit_status is not None

    def end_all(self) -> None:
        """Ends whatever is left."""
        for child in list(self._alive.values()):
            self.end(child)

    def settle(self) -> None:
        """Waits until the zygote has reaped every child that was ended, so that nothing is left."""
        while self._ending:
            self._hear_zygote()

    def waited_s(self, child: Child) -> float:
        """Seconds so far in which a thread of the child was ready to run and had no core, summed
        over its threads; 0 where the kernel does not tell. gVisor counts them as CPU time.
        """
        with contextlib.suppress(OSError):
            tasks = os.open(f"{child.pid}/task", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
            try:
                waited_ns = sum(_waited_ns(tasks, name) for name in os.listdir(tasks))
            finally:
                os.close(tasks)
            # A thread that has ended is listed no more.
            child.waited_s = max(child.waited_s, waited_ns / 1e9)
        return child.waited_s

    def hear(self, fd: int) -> None:
        """Handles what came from the zygote or the server."""
        if fd == self._server:
            raise Cancelled
        self._hear_zygote()


def _waited_ns(tasks: int, name: str) -> int:
    schedstat = os.open(f"{name}/schedstat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=tasks)
    try:
        return int(os.read(schedstat, 256).split()[1])
    finally:
        os.close(schedstat)


def unread(fd: int) -> int:
    """Bytes that wait in a pipe."""
    return int(_SIZE.unpack(fcntl.ioctl(fd, _FIONREAD, bytes(_SIZE.size)))[0])


def _sealed(content: bytes) -> int:
    """Memory that holds the bytes and can not be written, grown or shrunk, read from its start."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return fd
