"""Questions to one child within their budgets: the answers, or how and why there is none."""

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Collection, Iterator, Mapping, Sequence

from roundsmith.sandbox.children import Child, Children, unread
from roundsmith.sandbox.codec import CodecError
from roundsmith.sandbox.frames import MAX_FRAME
from roundsmith.sandbox.hardening import GREETING
from roundsmith.sandbox.questions import LAUNCH, LOAD, QUIET, Asked, Budget, Ended, Reply
from roundsmith.sandbox.supervisor_loop import Begun
from roundsmith.sandbox.wall import WallClock

_CHUNK = 1 << 16
_CREDENTIALS, _SCM_CREDENTIALS = struct.Struct("3i"), 2
NONCE_BYTES = 8
_SET_UP_S = 60.0
# What ends closes its descriptors last, and is gone at once, on a machine that is not very busy.
_ENDING_S = 1.0


def ask(
    children: Children, child: Child, kind: bytes, body: bytes, budget: Budget
) -> Reply | Ended:
    """Sends one question and waits for its answer or the end, within the budget.

    Raises Cancelled when the server wants no more, ZygoteGone when the supervisor must end.
    """
    (result,) = ask_all(children, child, [Asked(kind, body, budget)])
    return result


def ask_all(
    children: Children, child: Child, questions: list[Asked], begun: Begun | None = None
) -> Iterator[Reply | Ended]:
    """Sends questions ahead and yields the answer to each, in order, until the end of the child.
    `begun` is how far that has come.

    Each has its own clock, from the answer before it; raises as `ask` does.
    """
    return Exchange(children, child, questions, begun).run()


class Exchange:
    """Questions to one child, sent together, and what comes of each."""

    def __init__(
        self, children: Children, child: Child, questions: list[Asked], begun: Begun | None
    ) -> None:
        self._children, self._child, self._questions = children, child, questions
        size = NONCE_BYTES * len(questions)
        random = os.urandom(size) if begun is None else begun.nonces
        self._nonces = [random[at : at + NONCE_BYTES] for at in range(0, size, NONCE_BYTES)]
        self._unsent = memoryview(b"".join(map(Asked.frame, questions, self._nonces)))
        self._at, self._begun = 0, begun
        if begun is None:
            self._begin(child.cpu_s(), time.monotonic())
            return
        self._unsent, self._at = self._unsent[begun.num_sent :], len(begun.answers)
        self._begin(begun.cpu_start_s, begun.start_s)
        self._wall = self._wall_clock(begun.start_s, begun.wall_cpu_s)

    def _begin(self, cpu_s: float, now: float) -> None:
        """Starts the clocks of the question that is answered next."""
        self._budget = self._questions[self._at].budget
        self._cpu_start = cpu_s
        self._wall = self._wall_clock(now, cpu_s)
        self._child.forget_output()

    def _wall_clock(self, now: float, cpu_s: float) -> WallClock:
        return WallClock(self._children, self._child, self._budget.wall_s, now, cpu_s)

    def run(self) -> Iterator[Reply | Ended]:
        """Sends, drains output and watches both clocks until all is answered or the child ended."""
        for results in self._first() if self._begun is None else self._next(self._begun):
            yield from results
            if _is_over(results):
                return
        while self._at < len(self._questions):
            timeout_s = self._remaining_s()
            if isinstance(timeout_s, Ended):
                yield timeout_s
                return
            events = self._child.poll.poll(timeout_s * 1000 + 1)
            for fd, event in events:
                if fd in self._child.streams and event != select.POLLIN and not unread(fd):
                    self._child.poll.unregister(fd)  # at its end
            for results in self._handle({fd for fd, _ in events}):
                yield from results
                # An end that is seen together with the last answer is no question's.
                if _is_over(results) or self._at == len(self._questions):
                    return

    def _first(self) -> Iterator[Sequence[Reply | Ended]]:
        """Sends the questions, before which there is nothing to be said."""
        if early := self._take(self._child.streams):
            ended = isinstance(early[0], Ended)
            yield [early[0] if ended else self._ended("tampered", "an answer before the question")]
        self._send()

    def _next(self, begun: Begun) -> Iterator[Sequence[Reply | Ended]]:
        """What was answered, and then what was found that is out of the ordinary."""
        yield [
            Reply(frame[:1], frame[1 + NONCE_BYTES :], cpu_s, wall_s)
            for frame, cpu_s, wall_s in begun.answers
        ]
        self._send()
        yield from self._handle({self._child.control.fileno()})

    def _handle(self, ready: set[int]) -> Iterator[Sequence[Reply | Ended]]:
        child = self._child
        own = {child.control.fileno(), *child.streams}
        if ready & own:
            results = self._take(ready)
            yield results
            # One that becomes a program answers by how it ends.
            if not results and child.closed and self._questions[self._at].kind == LAUNCH:
                with contextlib.suppress(KeyError):
                    child.poll.unregister(child.control)
            elif not results and child.closed:
                yield self._after_close()
            elif not results and self._unsent:
                self._send()
        for fd in ready - own:
            self._children.hear(fd)
            if child.exit_status is not None:
                yield self._after_exit()

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
        """How long to sleep before a clock can have run out, or which one has."""
        now, cpu = time.monotonic(), self._child.cpu_s()
        cpu_s = self._budget.cpu_s - (cpu - self._cpu_start)
        if cpu_s <= 0:
            return self._ended("cpu", f"more than {self._budget.cpu_s:.3g} s of CPU time")
        if not self._child.greeted:
            if now - self._wall.start > max(_SET_UP_S, self._budget.wall_s):
                return self._ended("setup", f"a child was not confined within {_SET_UP_S:.0f} s")
            return min(cpu_s, self._budget.wall_s)
        wall_s = self._wall.left_s(now, cpu)
        if wall_s <= 0:
            return self._ended("wall", f"more than {self._budget.wall_s:.3g} s of wall time")
        return min(cpu_s, wall_s)

    def _take(self, ready: Collection[int]) -> Sequence[Reply | Ended]:
        """What the child wrote: its answers, in order, then what it printed to what is ready. An
        answer in small letters says that the solver waits until both are read, so that what is in
        the pipes then belongs to that answer; else they were empty, and it belongs to the next one.
        Where none is there, what was printed before one was looked for belongs to this question.
        """
        child = self._child
        printed = {fd: unread(fd) for fd in child.streams if fd in ready}
        try:
            while not child.closed and child.frames.waiting <= MAX_FRAME:
                chunk = self._read_chunk()
                child.closed = not chunk
                child.frames.feed(chunk)
        except BlockingIOError:
            pass
        except ConnectionResetError:
            child.closed = True
        frames: list[bytes] = []
        wrong = ""
        try:
            for frame in child.frames.frames():
                frames.append(frame)
        except CodecError as error:
            wrong = str(error)
        results = self._sort(frames, printed)
        if not wrong or _is_over(results):
            return results
        # What was answered before it stands: whether it came together with it is chance.
        return [*results, self._ended("tampered", wrong)]

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

    def _sort(self, frames: list[bytes], printed: Mapping[int, int]) -> Sequence[Reply | Ended]:
        child = self._child
        if frames and not child.greeted:
            # The first frame is written before anything untrusted runs.
            child.greeted, greeting = True, frames.pop(0)
            if greeting != GREETING:
                return [self._ended("setup", greeting.decode(errors="replace"))]
            # How long a busy machine took to start it is not the program's.
            self._wall = self._wall_clock(time.monotonic(), child.cpu_s())
        if not frames:
            return self._drain(printed)
        expected = self._nonces[self._at : self._at + len(frames)]
        right, asked = 0, self._questions[self._at : self._at + len(frames)]
        for frame, nonce, question in zip(frames, expected, asked, strict=False):
            known = question.answers()
            if frame[1 : 1 + NONCE_BYTES] != nonce or frame[:1].upper() not in known:
                break
            right += 1
        results = self._replies(frames[:right])
        if right < len(expected):
            return [*results, self._ended("tampered", "an answer to another question")]
        if self._at == len(self._nonces) and (right < len(frames) or child.frames.waiting):
            return [*results[:-1], self._ended("tampered", "more than one answer")]
        return results

    def _replies(self, frames: list[bytes]) -> list[Reply | Ended]:
        """What came at once shares its CPU time. Where that is more than one question may use,
        nobody knows whose it was: then each is charged all of it, so that none seems cheap.
        """
        if not frames:
            return []
        over: Sequence[Ended] = ()
        waits = frames[-1][:1].islower()
        # A script that closed or replaced its output does not know what is still in the pipes.
        if waits or self._questions[-1].kind == LOAD:
            if len(frames) > 1:
                self._child.forget_output()
            over = self._drain()
        first, cpu_s, now = self._at, self._child.cpu_s(), time.monotonic()
        self._at += len(frames)
        used = [self._questions[at].kind != QUIET for at in range(first, self._at)]
        least = min(self._questions[at].budget.cpu_s for at in range(first, self._at))
        spent_s, wall_s = self._spent_s(cpu_s), now - self._wall.start
        shared = spent_s <= least or sum(used) <= 1
        each_s = spent_s / max(1, sum(used)) if shared else spent_s
        replies: list[Reply | Ended] = [
            Reply(frame[:1].upper(), frame[1 + NONCE_BYTES :], each_s if used[at] else 0.0, wall_s)
            for at, frame in enumerate(frames)
        ]
        if over:
            return [*replies[:-1], *over]
        if self._at < len(self._questions):
            self._begin(cpu_s, now)
        return replies

    def _drain(self, sizes: Mapping[int, int] | None = None) -> Sequence[Ended]:
        """Takes what was printed, or so much by stream; over the limit the run is over."""
        most = self._budget.output_bytes
        if self._child.drain(most, sizes):
            return ()
        return [self._ended("output", f"more than {most} bytes of output")]

    def _after_close(self) -> Sequence[Reply | Ended]:
        """The socket is closed: the child is ending, or closed it and lives on. Killing it would
        not tell one that is being killed from outside.
        """
        if self._children.ends(self._child, _ENDING_S):
            return self._after_exit()
        self._children.kill(self._child)
        return [self._ended("tampered", "closed the answer descriptor")]

    def _after_exit(self) -> Sequence[Reply | Ended]:
        """The child is gone: what it said and printed last still counts, then how it ended."""
        results = [*self._take(self._child.streams)]
        if self._at < len(self._questions) and not _is_over(results):
            results += self._drain() or [self._exit()]
        return results

    def _exit(self) -> Ended:
        child = self._child
        code = os.waitstatus_to_exitcode(child.exit_status or 0)
        if not child.greeted:
            return self._ended("setup", f"a child ended with {code} before it was confined")
        return self._ended("signal", str(-code)) if code < 0 else self._ended("exit", str(code))

    def _ended(self, why: str, detail: str) -> Ended:
        wall_s = time.monotonic() - self._wall.start
        return Ended(why, detail, self._spent_s(self._child.cpu_s()), wall_s)

    def _spent_s(self, cpu_s: float) -> float:
        # The clock is finer than what the kernel says of an ended process.
        return max(0.0, cpu_s - self._cpu_start)


def _is_over(results: Sequence[Reply | Ended]) -> bool:
    return bool(results) and isinstance(results[-1], Ended)
