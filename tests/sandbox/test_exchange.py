"""What a child prints is counted to the question at which it was printed, whenever the supervisor
comes to look: here the child goes on just when it found no answer.
"""

import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import cast

import pytest

from roundsmith.sandbox.children import Child, Children
from roundsmith.sandbox.codec import HEADER
from roundsmith.sandbox.exchange import NONCE_BYTES, ask_all
from roundsmith.sandbox.frames import write_frame
from roundsmith.sandbox.hardening import GREETING
from roundsmith.sandbox.questions import LOAD, Asked, Budget, Ended

LIMIT = 100
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
    its output was read or not, and a number of bytes to print.
    """

    def __init__(self, control: socket.socket, out: int, steps: list[list[str | int]]) -> None:
        self._control, self._out, self._steps = control, out, iter(steps)
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
                os.write(self._out, bytes(act))
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
    ],
)
def test_output_is_counted_to_the_question_at_which_it_was_printed(
    steps: list[list[str | int]], expected: list[str]
) -> None:
    assert list(ended_by(steps)) == expected


def ended_by(steps: list[list[str | int]]) -> Iterator[str]:
    """What comes of loading a program and of one call."""
    ours, theirs = socket.socketpair()
    (out, printing), (error, complaining) = os.pipe(), os.pipe()
    with closing(Looked(fileno=ours.detach())) as looked, closing(theirs):
        looked.setblocking(False)
        looked.goes_on = Acting(theirs, printing, steps).go_on
        child = Child(1, looked, [out, error])
        child.pid = os.getpid()
        for fd in (looked.fileno(), *child.streams):
            os.set_blocking(fd, False)
            child.poll.register(fd, select.POLLIN)
        questions = [Asked(LOAD, b"", BUDGET), Asked(b"C", b"", BUDGET)]
        for result in ask_all(cast(Children, None), child, questions):
            yield result.why if isinstance(result, Ended) else result.kind.decode()
    for fd in (out, printing, error, complaining):
        os.close(fd)
