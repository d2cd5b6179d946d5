"""One question to one child within its budget: the answer, or how and why there is none."""

import os
import secrets
import select
import signal
import socket
import struct
import time
from dataclasses import dataclass

from roundsmith.sandbox.children import Child, Children
from roundsmith.sandbox.codec import HEADER, CodecError
from roundsmith.sandbox.frames import MAX_FRAME
from roundsmith.sandbox.zygote import GREETING

_CHUNK = 1 << 16
_CREDENTIALS = struct.Struct("3i")
_SCM_CREDENTIALS = 2
NONCE_BYTES = 8
# A program that gets less than this share of the wall time is asleep, not waiting for its turn.
_BUSY_SHARE = 0.03
_EXTENSIONS = 9


@dataclass(frozen=True, slots=True)
class Budget:
    """What one exchange may use: CPU and wall seconds, and bytes of output."""

    cpu_s: float
    wall_s: float
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One frame from a child: kind, body, and the CPU and wall seconds since the question."""

    kind: bytes
    body: bytes
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a child gives no more answers: `cpu`, `wall`, `output`, `tampered`, `exit`, `signal` or
    `setup`.
    """

    why: str
    detail: str
    cpu_s: float = 0.0
    wall_s: float = 0.0


def ask(
    children: Children, child: Child, kind: bytes, body: bytes, budget: Budget
) -> Reply | Ended:
    """Sends one question and waits for its answer or the end, within the budget.

    Raises Cancelled when the server wants no more, ZygoteGone when the supervisor must end.
    """
    return Exchange(children, child, kind, body, budget).run()


class Exchange:
    """One question to one child and what comes of it."""

    def __init__(
        self, children: Children, child: Child, kind: bytes, body: bytes, budget: Budget
    ) -> None:
        self._children, self._child, self._budget = children, child, budget
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        size = 1 + NONCE_BYTES + len(body)
        self._unsent = memoryview(b"".join((HEADER.pack(size), kind, self._nonce, body)))
        self._cpu_start, self._wall_start = child.cpu_s(), time.monotonic()
        self._cpu_mark, self._wall_end = self._cpu_start, self._wall_start + budget.wall_s
        self._extensions = _EXTENSIONS
        for stream in child.streams.values():
            stream.clear()

    def run(self) -> Reply | Ended:
        """Sends, drains output and watches both clocks until there is an answer."""
        if early := self._receive():
            return (
                early
                if isinstance(early, Ended)
                else self._ended("tampered", "an answer before the question")
            )
        self._send()
        while True:
            timeout_s = self._remaining_s()
            if isinstance(timeout_s, Ended):
                return timeout_s
            ready = [fd for fd, _ in self._child.poll.poll(timeout_s * 1000 + 1)]
            # Output first, so that all of it counts before an answer does.
            for fd in sorted(ready, key=lambda fd: fd not in self._child.streams):
                if result := self._handle(fd):
                    return result

    def _handle(self, fd: int) -> Reply | Ended | None:
        child = self._child
        if fd in child.streams:
            return self._drain(fd)
        if fd == child.control.fileno():
            result = self._receive()
            if result is None and child.closed:
                return self._after_close()
            if result is None and self._unsent:
                self._send()
            return result
        self._children.hear(fd)
        return self._after_exit() if child.exit_status is not None else None

    def _send(self) -> None:
        waited = len(self._unsent)
        try:
            while self._unsent:
                self._unsent = self._unsent[self._child.control.send(self._unsent) :]
        except BlockingIOError:
            self._child.poll.modify(self._child.control, select.POLLIN | select.POLLOUT)
            return
        except OSError:
            self._unsent = memoryview(b"")
        if waited:
            self._child.poll.modify(self._child.control, select.POLLIN)

    def _remaining_s(self) -> float | Ended:
        """How long to sleep before a clock can have run out, or which one has.

        A program that still gets CPU time waits for a busy machine, it does not sleep: its wall
        time is extended, so that a loop is CPU_TIMEOUT here as on an idle machine.
        """
        now, cpu = time.monotonic(), self._child.cpu_s()
        cpu_s = self._budget.cpu_s - (cpu - self._cpu_start)
        if cpu_s <= 0:
            return self._ended("cpu", f"more than {self._budget.cpu_s:.3g} s of CPU time")
        wall_s = self._wall_end - now
        if wall_s <= 0:
            if self._extensions == 0 or cpu - self._cpu_mark < _BUSY_SHARE * self._budget.wall_s:
                return self._ended("wall", f"more than {self._budget.wall_s:.3g} s of wall time")
            self._extensions -= 1
            self._cpu_mark, wall_s = cpu, self._budget.wall_s
            self._wall_end = now + wall_s
        return min(cpu_s, wall_s)

    def _receive(self) -> Reply | Ended | None:
        """Reads what the child wrote on its control socket; None while there is no whole frame."""
        child = self._child
        try:
            while not child.closed and child.frames.waiting <= MAX_FRAME:
                chunk = self._read_chunk()
                child.closed = not chunk
                child.frames.feed(chunk)
        except BlockingIOError:
            pass
        except ConnectionResetError:
            child.closed = True
        try:
            return self._sort(list(child.frames.frames()))
        except CodecError as error:
            return self._ended("tampered", str(error))

    def _read_chunk(self) -> bytes:
        child = self._child
        if child.pid:
            return child.control.recv(_CHUNK)
        chunk, ancillary, _, _ = child.control.recvmsg(_CHUNK, socket.CMSG_SPACE(_CREDENTIALS.size))
        for _, kind, content in ancillary:
            if kind == _SCM_CREDENTIALS:
                # The kernel translates the sender's pid into this process's own pid namespace.
                child.pid = _CREDENTIALS.unpack(content)[0]
        return chunk

    def _sort(self, frames: list[bytes]) -> Reply | Ended | None:
        child = self._child
        if frames and not child.greeted:
            # The first frame is written before anything untrusted runs.
            child.greeted, greeting = True, frames.pop(0)
            if greeting != GREETING:
                return self._ended("setup", greeting.decode(errors="replace"))
        if not frames:
            return None
        if len(frames) > 1 or child.frames.waiting:
            return self._ended("tampered", "more than one answer")
        kind, nonce = frames[0][:1], frames[0][1 : 1 + NONCE_BYTES]
        if nonce != self._nonce or kind not in (b"A", b"E", b"N", b"D"):
            return self._ended("tampered", "an answer to another question")
        cpu_s = child.cpu_s() - self._cpu_start
        return Reply(kind, frames[0][1 + NONCE_BYTES :], cpu_s, self._wall_s())

    def _drain(self, fd: int) -> Ended | None:
        """Takes what was printed; over the limit the run is over."""
        stream = self._child.streams[fd]
        try:
            while sum(map(len, self._child.streams.values())) <= self._budget.output_bytes:
                chunk = os.read(fd, _CHUNK)
                if not chunk:
                    if self._child.exit_status is None:
                        self._child.poll.unregister(fd)
                    return None
                stream += chunk
        except BlockingIOError:
            return None
        return self._ended("output", f"more than {self._budget.output_bytes} bytes of output")

    def _after_close(self) -> Reply | Ended:
        """The socket is closed: the child is ending, or it closed the socket and lives on, which
        the kill shows.
        """
        self._children.kill(self._child)
        if self._child.exit_status == signal.SIGKILL:
            return self._ended("tampered", "closed the answer descriptor")
        return self._after_exit()

    def _after_exit(self) -> Reply | Ended:
        """The child is gone: what it printed and said last still counts, then how it ended."""
        child = self._child
        for fd in child.streams:
            if over := self._drain(fd):
                return over
        return self._receive() or self._exit()

    def _exit(self) -> Ended:
        child = self._child
        code = os.waitstatus_to_exitcode(child.exit_status or 0)
        if code == -signal.SIGKILL and child.cpu_at_exit_s >= child.cpu_limit_s:
            return self._ended("cpu", f"more than {child.cpu_limit_s} s of CPU time")
        return self._ended("signal", str(-code)) if code < 0 else self._ended("exit", str(code))

    def _ended(self, why: str, detail: str) -> Ended:
        return Ended(why, detail, self._child.cpu_s() - self._cpu_start, self._wall_s())

    def _wall_s(self) -> float:
        return time.monotonic() - self._wall_start
