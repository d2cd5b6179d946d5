"""The supervisor's loop in C does what Python does where that was not compiled, whatever a child
says. The child here is a process that plays one, so that it can say anything.
"""

import contextlib
import ctypes
import json
import marshal
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.sandbox import launcher
from roundsmith.sandbox.calls import EVERY_PYTHON
from roundsmith.sandbox.children import Children, ZygoteGone
from roundsmith.sandbox.events import Event, unpack_events
from roundsmith.sandbox.frames import read_frame, write_frame
from roundsmith.sandbox.hardening import GREETING
from roundsmith.sandbox.runs import Run, Runner
from roundsmith.sandbox.supervisor import RUN
from roundsmith.sandbox.supervisor_loop import SupervisorLoop
from roundsmith.sandbox.zygote import CHILD_ID, EXITED, EXITED_BODY

CELLS = ((b"C", b"one"), (b"C", b"two"), (b"X", b"three"))
NUM_QUESTIONS = len(CELLS) + 2
PLAYED = str(Path(__file__).with_name("played_child.py"))
LATE = b"late"
"""In place of a greeting: one that comes after half a second."""
ECHO = b"echo"
"""An answer that is what was asked."""
Said = tuple[str, int, bytes]
"""A letter, how far from the nonce of the question whose turn it is, and the answer; or `burn` or
`sleep`, and for how many milliseconds before it goes on.
"""
pytestmark = pytest.mark.skipif(launcher.compiled() is None, reason="there is no C compiler here")


def a_run(**changed: object) -> Run:
    run = Run("solution", "", "", b"", CELLS, 60.0, 60.0, 10.0, 2**29, 2**16, 2**20, 1)
    return run._replace(**changed)  # type: ignore[arg-type]  # each test says what it changes


class Player(threading.Thread):
    """The zygote of one run, and its child: reads all questions, says what it is to say in pieces
    of so many bytes, and ends, unless it has said all or failed to load.
    """

    def __init__(
        self, zygote: socket.socket, said: list[Said], rest: bytes, piece: int, greeting: bytes
    ) -> None:
        super().__init__(daemon=True)
        self._zygote, self._said, self._rest, self._piece = zygote, said, rest, piece
        self._greeting = greeting
        self.mistaken = 0
        """How far from its number it tells the child by, when it was killed."""
        self.limits = b""
        """What the zygote was asked to limit the child to."""

    def run(self) -> None:
        """Ends when the supervisor has told it to."""
        message, fds, _, _ = socket.recv_fds(self._zygote, 256, 8)
        (child_id,) = CHILD_ID.unpack_from(message, 1)
        self.limits = message[1 + CHILD_ID.size :]
        said = [letter for letter, _, _ in self._said if len(letter) == 1]
        stays = not self._rest and (said == ["E"] or len(said) == NUM_QUESTIONS)
        asked = {
            "late_s": 0.5 if self._greeting == LATE else 0,
            "greeting": (GREETING if self._greeting == LATE else self._greeting).hex(),
            "num_questions": NUM_QUESTIONS,
            "said": [(a, b, "echo" if c == ECHO else c.hex()) for a, b, c in self._said],
            "rest": self._rest.hex(),
            "piece": self._piece,
            "stay": stays,
        }
        command = [sys.executable, "-I", "-S", PLAYED, str(fds[3]), json.dumps(asked)]
        streams = dict(zip(("stdin", "stdout", "stderr"), fds, strict=False))
        child = subprocess.Popen(command, pass_fds=fds[3:], **streams)  # type: ignore[call-overload]  # by name
        for fd in fds:
            os.close(fd)
        if not stays:
            child.wait()
            self._zygote.send(EXITED + EXITED_BODY.pack(child_id, 0, 0))
        while message := self._zygote.recv(256):
            if message == b"K" + CHILD_ID.pack(child_id) and stays:
                child.kill()
                child.wait()
                self._zygote.send(EXITED + EXITED_BODY.pack(child_id + self.mistaken, 9, 0))
        child.kill()
        child.wait()


@contextmanager
def played(
    said: list[Said], rest: bytes, piece: int, greeting: bytes
) -> Iterator[tuple[socket.socket, Player]]:
    """The socket to a zygote that plays it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    player = Player(theirs, said, rest, piece, greeting)
    player.start()
    with ours, theirs:
        yield ours, player
        ours.shutdown(socket.SHUT_RDWR)
        player.join(10)


def by_python(
    run: Run,
    said: list[Said],
    rest: bytes = b"",
    piece: int = 1 << 16,
    greeting: bytes = GREETING,
) -> list[Event]:
    events: list[Event] = []
    server, silent = socket.socketpair()
    with played(said, rest, piece, greeting) as (zygote, _), server, silent:
        children = Children(zygote, server.fileno(), -1)
        Runner(children, run, events.append).execute()
        children.settle()
    return events


class Server(threading.Thread):
    """The server of one run: reads events until the last ones, and goes."""

    def __init__(self, supervisor: socket.socket) -> None:
        super().__init__(daemon=True)
        self._supervisor = supervisor
        self.events: list[Event] = []

    def run(self) -> None:
        with contextlib.suppress(EOFError):
            last = False
            while not last:
                last, events = unpack_events(read_frame(self._supervisor.fileno()))
                self.events += events
        self._supervisor.shutdown(socket.SHUT_RDWR)


def by_library(
    run: Run,
    said: list[Said],
    rest: bytes = b"",
    piece: int = 1 << 16,
    greeting: bytes = GREETING,
) -> tuple[list[Event], bool]:
    """The events, and whether the library did it all."""
    events: list[Event] = []
    ours, theirs = socket.socketpair()
    with (
        played(said, rest, piece, greeting) as (zygote, _),
        ours,
        theirs,
        open(os.devnull, "rb") as no_input,
    ):
        children = Children(zygote, theirs.fileno(), -1)
        loop = SupervisorLoop(letting_go(), theirs.fileno(), no_input.fileno())
        loop.know("base", children)
        write_frame(ours.fileno(), RUN, run.pack())
        server = Server(ours)
        server.start()
        try:
            frame, begun = loop.next()
        except EOFError:
            server.join(10)
            return server.events, True
        assert Run.unpack(bytes(frame[1:])) == run
        Runner(children, run, events.append, begun).execute()
        children.settle()
        theirs.shutdown(socket.SHUT_RDWR)
        server.join(10)
        assert not server.events
    return events, False


def letting_go() -> ctypes.CDLL:
    """The library, in whose calls the other threads of this process go on."""
    library = ctypes.CDLL(launcher.LIBRARY)
    library.roundsmith_supervise.argtypes = (ctypes.c_void_p,)
    library.roundsmith_supervise.restype = ctypes.c_long
    library.roundsmith_supervising_bytes.restype = ctypes.c_long
    return library


def told(events: list[Event]) -> list[tuple[int, str, str, bytes]]:
    return [event[:4] for event in events]


HONEST: list[Said] = [("A", 0, b"N"), ("A", 0, b"1"), ("E", 0, b"2"), ("A", 0, b"3"), ("A", 0, b"")]


@pytest.mark.parametrize("piece", [1 << 16, 40, 7, 1])
def test_a_run_in_which_all_is_answered_is_told_as_python_tells_it(piece: int) -> None:
    events, done = by_library(a_run(), HONEST, piece=piece)
    assert done or piece < 1 << 16, "it was left to Python, though all came at once"
    expected = [
        (-1, "answer", b"N"),
        (0, "answer", b"1"),
        (1, "failure", b"2"),
        (2, "answer", b"3"),
    ]
    assert [(cell, what, body) for cell, what, _, body, _, _ in events] == expected
    assert told(events) == told(by_python(a_run(), HONEST, piece=piece))
    assert all(0 <= event[4] < 60 and 0 <= event[5] < 60 for event in events)


def test_after_a_program_that_does_not_load_nothing_is_awaited() -> None:
    events, done = by_library(a_run(), [("E", 0, b"why")])
    assert done, "it was left to Python"
    assert told(events) == [(-1, "failure", "", b"why")]


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "__main__"},
        {"stdin": b"input"},
        {"profile": "another"},
        {"cells": ((b"T", b"statements"),)},
        {"cells": ((b"C", b""),) * 255},
        {"cells": ()},
    ],
)
def test_a_run_of_another_kind_is_left_whole(changed: dict[str, object]) -> None:
    run = a_run(**changed)
    ours, theirs = socket.socketpair()
    zygote, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, zygote, telling, open(os.devnull, "rb") as no_input:
        loop = SupervisorLoop(letting_go(), theirs.fileno(), no_input.fileno())
        loop.know("base", Children(zygote, theirs.fileno(), -1))
        write_frame(ours.fileno(), RUN, run.pack())
        frame, begun = loop.next()
        assert (Run.unpack(bytes(frame[1:])), begun) == (run, None)
        assert Run.profile_of(frame[1:]) == run.profile
        telling.setblocking(False)
        with pytest.raises(BlockingIOError):
            telling.recv(1)


@pytest.mark.parametrize("rest", [b"\0", b"\0\0\0\1H", b"\xff\xff\xff\xff"])
def test_what_follows_the_last_answer_is_tampering(rest: bytes) -> None:
    events, done = by_library(a_run(), HONEST, rest)
    assert not done
    assert told(events)[-1][:2] == (2, "tampered")
    assert told(events) == told(by_python(a_run(), HONEST, rest))


def test_a_child_that_was_not_confined_says_why() -> None:
    events, done = by_library(a_run(), [], greeting=b"a step was refused")
    assert not done
    assert told(events) == [(-1, "setup", "a step was refused", b"")]


def test_cpu_time_of_answers_that_come_at_once_is_shared() -> None:
    """Where it is no more than one may use; else each is charged all of it."""
    said: list[Said] = [("burn", 200, b""), *HONEST]
    events, _ = by_library(a_run(), said)
    assert all(0.045 < cpu_s < 0.1 for *_, cpu_s, _ in events)
    assert all(wall_s > 0.15 for *_, wall_s in events)
    events, _ = by_library(a_run(later_cpu_s=0.15), said)
    assert all(0.19 < cpu_s < 0.4 for *_, cpu_s, _ in events)


def test_what_was_used_before_an_answer_is_not_charged_to_the_next() -> None:
    """The first is told before the others come, by Python then."""
    said: list[Said] = [("burn", 400, b""), HONEST[0], ("burn", 200, b""), *HONEST[1:]]
    (first, *others), done = by_library(a_run(), said)
    assert not done
    assert 0.39 < first[4] < 0.6
    assert all(0.06 < event[4] < 0.15 for event in others)
    assert all(event[5] < first[5] for event in others)


def test_how_long_a_child_took_to_be_confined_is_not_charged() -> None:
    events, done = by_library(a_run(), HONEST, greeting=LATE)
    assert done
    assert all(wall_s < 0.3 for *_, wall_s in events)


@pytest.mark.parametrize(
    ("changed", "how", "what"),
    [
        ({"fresh_cpu_s": 0.2, "wall_factor": 50.0}, "burn", "cpu"),
        ({"fresh_cpu_s": 10.0, "wall_factor": 0.03}, "sleep", "wall"),
    ],
)
def test_a_limit_ends_the_run(changed: dict[str, object], how: str, what: str) -> None:
    start = time.monotonic()
    events, _ = by_library(a_run(**changed), [(how, 3000, b""), *HONEST])
    assert [event[:2] for event in events] == [(-1, what)]
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"fresh_cpu_s": 3.0, "later_cpu_s": 1.5, "memory_bytes": 12345678901, "processes": 7},
        {"fresh_cpu_s": 0.01, "later_cpu_s": 0.01, "file_bytes": 98765, "output_bytes": 4},
    ],
)
def test_a_child_gets_the_limits_that_python_asks_for(changed: dict[str, object]) -> None:
    run = a_run(**changed)
    ours, theirs = socket.socketpair()
    with played([], b"", 1, GREETING) as (zygote, player), ours, theirs:
        children = Children(zygote, theirs.fileno(), -1)
        loop = SupervisorLoop(letting_go(), theirs.fileno(), theirs.fileno())
        loop.know("base", children)
        write_frame(ours.fileno(), RUN, run.pack())
        _, begun = loop.next()
        assert begun is not None
        Runner(children, run, print, begun).execute()
        children.settle()
        assert player.limits == run.limits().pack()


def test_a_zygote_that_tells_of_another_child_is_gone() -> None:
    ours, theirs = socket.socketpair()
    with (
        played(HONEST, b"", 1 << 16, GREETING) as (zygote, player),
        ours,
        theirs,
        open(os.devnull, "rb") as no_input,
    ):
        player.mistaken = 1
        loop = SupervisorLoop(letting_go(), theirs.fileno(), no_input.fileno())
        loop.know("base", Children(zygote, theirs.fileno(), -1))
        write_frame(ours.fileno(), RUN, a_run().pack())
        with pytest.raises(ZygoteGone):
            loop.next()


LETTERS = st.sampled_from("AAAAAEEaeDNHQ")
BESIDE = st.sampled_from([0] * 12 + [1, 2])
ANSWERS = st.lists(st.tuples(LETTERS, BESIDE, st.binary(max_size=30)), max_size=NUM_QUESTIONS + 1)
RESTS = st.sampled_from([b""] * 6 + [b"\0", b"\0\0\0\x20A", b"\xff\xff\xff\xff", b"\0\0\0\1H"])


@settings(max_examples=120, deadline=None)
@given(said=ANSWERS, rest=RESTS, piece=st.sampled_from([1 << 16, 1 << 16, 50, 13]))
def test_whatever_a_child_says_it_is_told_as_python_tells_it(
    said: list[Said], rest: bytes, piece: int
) -> None:
    run = a_run()
    if piece < 1 << 16:  # what follows the last answer may come when nobody listens any more
        said, rest = said[:NUM_QUESTIONS], b""
    assert told(by_library(run, said, rest, piece)[0]) == told(by_python(run, said, rest, piece))


texts = st.text(st.characters(max_codepoint=0x10FFFF, categories=None), max_size=20)


@settings(max_examples=30, deadline=None)
@given(texts, texts)
def test_a_child_is_asked_what_python_asks(setup: str, source: str) -> None:
    run = a_run(setup=setup, source=source)
    events, done = by_library(run, [("A", 0, ECHO)] * NUM_QUESTIONS)
    assert done
    program = marshal.dumps((run.name, setup, source), EVERY_PYTHON)
    assert [event[3] for event in events] == [program, *(body for _, body in CELLS)]


@given(
    run=st.builds(
        Run,
        *[texts] * 3,
        st.binary(max_size=20),
        st.lists(st.tuples(st.sampled_from([b"C", b"X"]), st.binary(max_size=20))).map(tuple),
        *[st.floats(0, 1e6)] * 3,
        *[st.integers(0, 2**62)] * 3,
        st.integers(1, 1000),
        texts,
    )
)
def test_a_run_is_the_same_on_the_other_side(run: Run) -> None:
    assert Run.unpack(run.pack()) == run


def test_a_library_of_another_layout_is_refused(tmp_path: Path) -> None:
    sources = Path(launcher.LIBRARY).parent
    other, built = tmp_path / "forking.c", tmp_path / "forking.so"
    other.write_text((sources / "forking.c").read_text())
    source = (sources / "supervising.c").read_text()
    (tmp_path / "supervising.c").write_text(source.replace("MOST_ZYGOTES = 8", "MOST_ZYGOTES = 9"))
    command = ["cc", "-shared", "-fPIC", f"-I{sources}", "-o", str(built), str(other)]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(built))
    library.roundsmith_supervising_bytes.restype = ctypes.c_long
    with pytest.raises(OSError, match="by installing again"):
        SupervisorLoop(library, 0, 0)
