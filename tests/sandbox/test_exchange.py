"""What a child prints is counted to the question at which it was printed, whenever the supervisor
comes to look: here the child goes on just when it found no answer.
"""

import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest

from roundsmith.sandbox.children import Child, Children
from roundsmith.sandbox.codec import HEADER
from roundsmith.sandbox.exchange import NONCE_BYTES, ask_all
from roundsmith.sandbox.frames import write_frame
from roundsmith.sandbox.hardening import GREETING
from roundsmith.sandbox.questions import LOAD, Asked, Budget, Ended, Reply
from roundsmith.sandbox.supervisor_loop import Begun
from roundsmith.sandbox.zygote import EXITED, EXITED_BODY

LIMIT, CHILD = 100, 1
BUDGET = Budget(60.0, 60.0, LIMIT)


class Looked(socket.socket):
    """The supervisor's end of the control socket: where nothing is there, the child goes on."""

    goes_on: Callable[[], None]

    def recv(self, size: int, flags: int = 0) -> bytes:
        try:
            return super().recv(size, flags)
        except BlockingIOError:
            self.goes_on()
            raise


class Acting:
    """A child by a script, whose steps are `A` and `a` for an answer, as the solver gives one when
    its output was read or not, a number of bytes to print, `close` for its output, and `exit`,
    which the zygote tells.
    """

    def __init__(
        self,
        control: socket.socket,
        out: BinaryIO,
        zygote: socket.socket,
        steps: list[list[str | int]],
    ) -> None:
        self._control, self._out, self._zygote = control, out, zygote
        self._steps = iter(steps)
        self._asked = b""
        self._greeted = False

    def go_on(self) -> None:
        """The next step; the first is to greet."""
        if not self._greeted:
            self._greeted = True
            write_frame(self._control.fileno(), GREETING)
            return
        for act in next(self._steps, []):
            if isinstance(act, int):
                self._out.write(bytes(act))
                continue
            if act == "close":
                self._out.close()
                continue
            if act == "exit":
                self._zygote.send(EXITED + EXITED_BODY.pack(CHILD, 0, 0))
                continue
            self._asked = self._asked or self._control.recv(1 << 16)
            (size,) = HEADER.unpack_from(self._asked)
            nonce = self._asked[HEADER.size + 1 : HEADER.size + 1 + NONCE_BYTES]
            self._asked = self._asked[HEADER.size + size :]
            write_frame(self._control.fileno(), act.encode(), nonce)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([["A", 101]], ["A", "output"]),
        ([[101]], ["output"]),
        ([[60], ["A", 60], ["a"]], ["A", "A"]),
        ([["A", 60], [60]], ["A", "output"]),
        ([[60], [60], ["a", "A"]], ["output"]),
        ([["A", 101, "a"]], ["A", "output"]),
        ([["A", "A"]], ["A", "A"]),
        ([["A", "exit"]], ["A", "exit"]),
        ([["A", 101, "exit"]], ["A", "output"]),
    ],
)
def test_output_is_counted_to_the_question_at_which_it_was_printed(
    steps: list[list[str | int]], expected: list[str]
) -> None:
    assert list(ended_by(steps)) == expected


def test_what_is_seen_of_a_child_together_with_its_last_answer_is_no_further_result() -> None:
    assert list(ended_by([["A", "A", 101, "exit"]])) == ["A", "A"]


def test_a_stream_at_its_end_wakes_nobody_again() -> None:
    assert list(ended_by([[60, "close"], [], ["A", "A"]])) == ["A", "A"]


def ended_by(steps: list[list[str | int]]) -> Iterator[str]:
    """What comes of loading a program and of one call."""
    ours, theirs = socket.socketpair()
    zygote, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (out, printing), (error, complaining) = os.pipe(), os.pipe()
    with Looked(fileno=ours.detach()) as looked, theirs, zygote, telling:
        looked.setblocking(False)
        writer = os.fdopen(printing, "wb", 0)
        looked.goes_on = Acting(theirs, writer, telling, steps).go_on
        child = Child(CHILD, looked, [out, error])
        children = Children(zygote, complaining, -1)
        children.adopt(child)
        child.pid = os.getpid()
        questions = [Asked(LOAD, b"", BUDGET), Asked(b"C", b"", BUDGET)]
        for result in ask_all(children, child, questions):
            yield result.why if isinstance(result, Ended) else result.kind.decode()
        seen = dict(child.poll.poll(0)).get(out, select.POLLIN)
        writer.close()
    for fd in (out, error, complaining):
        os.close(fd)
    assert seen & select.POLLIN, "the supervisor would be woken for nothing"


def test_questions_that_were_not_sent_yet_are_sent_where_a_run_is_gone_on_with() -> None:
    """Though an answer is there already, with which nothing needs to be sent."""
    ours, theirs = socket.socketpair()
    zygote, silent = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    out, error = os.pipe(), os.pipe()
    with ours, theirs, zygote, silent:
        ours.setblocking(False)
        questions = [Asked(kind, b"", BUDGET) for kind in (b"P", b"C", b"C")]
        nonces = b"".join(bytes([at]) * NONCE_BYTES for at in range(3))
        first = HEADER.size + 1 + NONCE_BYTES
        frames = [
            (b"A" + nonces[at : at + NONCE_BYTES]) for at in range(0, len(nonces), NONCE_BYTES)
        ]
        write_frame(theirs.fileno(), frames[1])
        child = Child(CHILD, ours, [out[0], error[0]])
        child.pid, child.greeted = os.getpid(), True
        answers = [(frames[0], 0.0, 0.0)]
        cpu_s, now = child.cpu_s(), time.monotonic()
        begun = Begun(
            CHILD, ours.fileno(), (out[0], error[0]), child.pid, True, False, nonces, first,
            answers, b"", cpu_s, now, cpu_s,
        )  # fmt: skip
        children = Children(zygote, silent.fileno(), -1)
        children.adopt(child)
        results = ask_all(children, child, questions, begun)
        assert [next(results), next(results)]
        assert len(theirs.recv(1 << 16)) == 2 * first
        write_frame(theirs.fileno(), frames[2])
        assert [result.kind for result in results if isinstance(result, Reply)] == [b"A"]
    for fd in (*out, *error):
        os.close(fd)
