"""One run: a program loaded in a fresh child, its cells asked one after the other, what came of
each reported.
"""

import marshal
import socket
import struct
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import NamedTuple

from roundsmith.sandbox.calls import EVERY_PYTHON
from roundsmith.sandbox.children import Child, Children
from roundsmith.sandbox.clocks import Clocks
from roundsmith.sandbox.events import Event, pack_blobs, unpack_blobs
from roundsmith.sandbox.exchange import ask, ask_all
from roundsmith.sandbox.hardening import RunLimits
from roundsmith.sandbox.questions import QUIET, Asked, Budget, Ended, Reply
from roundsmith.sandbox.supervisor_loop import Begun

LOADING = -1
TESTER = b"T"
_NUMBERS = struct.Struct("!dddQQQII")
CANARY = "__canary__"
"""A run of this name, in a profile of another language, tries one cell in a child of each phase."""


class Run(NamedTuple):
    """What the server asks for. Each of `cells` is (kind of question, its body).

    The first question to a fresh child may use `fresh_cpu_s`, later ones `later_cpu_s`.
    """

    name: str
    """`solution`, `__main__` for a script, whose loading is its run, or `CANARY`."""
    setup: str
    source: str
    stdin: bytes
    cells: tuple[tuple[bytes, bytes], ...]
    fresh_cpu_s: float
    later_cpu_s: float
    wall_factor: float
    memory_bytes: int
    output_bytes: int
    file_bytes: int
    processes: int
    profile: str = "base"

    def pack(self) -> bytes:
        """For the socket from the server, which the supervisor trusts."""
        numbers = _NUMBERS.pack(
            self.fresh_cpu_s,
            self.later_cpu_s,
            self.wall_factor,
            self.memory_bytes,
            self.output_bytes,
            self.file_bytes,
            self.processes,
            len(self.cells),
        )
        texts = (self.name, self.profile, self.setup, self.source)
        blobs = [text.encode("utf-8", "surrogatepass") for text in texts]
        cells = [kind + body for kind, body in self.cells]
        return numbers + pack_blobs([*blobs, self.stdin, *cells])

    @staticmethod
    def profile_of(content: memoryview) -> str:
        """That of what the server packed, of which nothing else is copied."""
        count, name, size = struct.unpack_from("!3I", content, _NUMBERS.size)
        at = _NUMBERS.size + 4 * (1 + count) + name
        return bytes(content[at : at + size]).decode("utf-8", "surrogatepass")

    @classmethod
    def unpack(cls, content: bytes) -> "Run":
        """What the server packed."""
        fresh_s, later_s, factor, memory, output, file, processes, _ = _NUMBERS.unpack_from(content)
        *texts, stdin = (blobs := unpack_blobs(content[_NUMBERS.size :]))[:5]
        name, profile, setup, source = (text.decode("utf-8", "surrogatepass") for text in texts)
        cells = tuple((blob[:1], blob[1:]) for blob in blobs[5:])
        budgets = (fresh_s, later_s, factor, memory, output, file, processes)
        return cls(name, setup, source, stdin, cells, *budgets, profile)

    def limits(self) -> RunLimits:
        """The kernel's limits; its CPU limit only stands behind the supervisor's own clock."""
        cpu_s = int(self.fresh_cpu_s * 2 + self.later_cpu_s * len(self.cells)) + 5
        # Few different ones, because what starts a child is made once for all of the same limits.
        cpu_s = 1 << (cpu_s - 1).bit_length()
        return RunLimits(cpu_s, self.memory_bytes, self.file_bytes, self.processes)


class Runner:
    """Carries out what is left of a run. Events go to `report` as they are known."""

    def __init__(
        self,
        children: Children,
        run: Run,
        report: Callable[[Event], None],
        begun: Begun | None = None,
    ) -> None:
        self._children, self._run, self._report = children, run, report
        self._begun = begun

    def execute(self) -> None:
        """Loads, asks every cell until the child ends, and has every process ended."""
        run = self._run
        child = self._child()
        program = marshal.dumps((run.name, run.setup, run.source), EVERY_PYTHON)
        try:
            if run.name == "__main__":
                ended = ask(self._children, child, b"P", program, self._budget(fresh=True))
                self._report_script(child, ended)
            else:
                self._ask_cells(child, program)
        finally:
            self._children.end_all()

    def _child(self) -> Child:
        begun = self._begun
        if begun is None:
            return self._children.start(self._run.limits(), self._run.stdin)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, begun.control)
        child = Child(begun.child_id, control, begun.streams)
        child.pid, child.greeted, child.closed = begun.pid, begun.greeted, begun.closed
        child.frames.feed(begun.rest)
        return self._children.adopt(child)

    def _ask_cells(self, child: Child, program: bytes) -> None:
        at, cells = LOADING, ((b"P", program), *self._run.cells)
        while at < len(self._run.cells):
            ahead = list(takewhile(lambda cell: cell[0] != TESTER, cells[at + 1 :]))
            results = self._ask_ahead(child, at, ahead) if ahead else self._ask_tester(child, at)
            for result in results:
                event = _event(at, result)
                self._report(event)
                if isinstance(result, Ended) or (at == LOADING and event[1] != "answer"):
                    return
                at += 1

    def _ask_ahead(
        self, child: Child, first: int, cells: list[tuple[bytes, bytes]]
    ) -> Iterator[Reply | Ended]:
        """The program or cells that are asked together; after the run's last cell an empty answer
        is asked for, so that a second answer to it shows.
        """
        asked = [Asked(*cell, self._budget(fresh=at <= 0)) for at, cell in enumerate(cells, first)]
        if first + len(cells) == len(self._run.cells) > 0:
            asked.append(Asked(QUIET, b"", self._budget(fresh=True)))
        held: Reply | None = None
        begun, self._begun = self._begun, None
        for at, result in enumerate(ask_all(self._children, child, asked, begun), 1):
            if held is not None:
                yield _unless_tampered(held, result)
            elif at == len(cells) < len(asked) and isinstance(result, Reply):
                held = result
            else:
                yield result

    def _ask_tester(self, child: Child, at: int) -> Iterator[Reply | Ended]:
        setup = self._run.setup.encode("utf-8", "surrogatepass")
        asked = pack_blobs([setup, self._run.cells[at][1]])
        result = self._ask_with_tester(child, asked, self._budget(fresh=at == 0))
        if at == len(self._run.cells) - 1 and isinstance(result, Reply):
            quiet = ask(self._children, child, QUIET, b"", self._budget(fresh=True))
            result = _unless_tampered(result, quiet)
        yield result

    def _ask_with_tester(self, solver: Child, body: bytes, budget: Budget) -> Reply | Ended:
        """Runs the statements in a second child that reaches the solver by calls through this
        process only.
        """
        tester = self._children.start(self._run.limits())
        try:
            return self._relay(tester, solver, body, budget)
        finally:
            self._children.end(tester)

    def _relay(self, tester: Child, solver: Child, body: bytes, budget: Budget) -> Reply | Ended:
        """Both together have the budget of one cell."""
        clocks = Clocks(self._children, (tester, solver), budget)
        asked, kind = tester, TESTER
        while not isinstance(left := clocks.left(), Ended):
            result = ask(self._children, asked, kind, body, left)
            clocks.count(result)
            if isinstance(result, Ended):
                return clocks.ended(result.why, result.detail)
            kind, body = result.kind, result.body
            if asked is tester and kind in (b"A", b"E"):
                return Reply(kind, body, clocks.cpu_s, clocks.wall_s)
            if asked is solver and kind not in (b"A", b"E"):
                return clocks.ended("tampered", "a question instead of an answer")
            asked = solver if asked is tester else tester
        return left

    def _report_script(self, child: Child, ended: Reply | Ended) -> None:
        """A script ends by itself or by `os._exit`; what counts is what it printed."""
        event = _event(0, ended)
        printed = bytes(next(iter(child.streams.values())))
        if event[1] == "answer" or event[1:3] == ("exit", "0"):
            event = (0, "answer", "", printed, event[4], event[5])
        self._report(event)

    def _budget(self, fresh: bool) -> Budget:
        run = self._run
        cpu_s = run.fresh_cpu_s if fresh else run.later_cpu_s
        return Budget(cpu_s, run.wall_factor * cpu_s, run.output_bytes)


def _unless_tampered(reply: Reply, quiet: Reply | Ended) -> Reply | Ended:
    return quiet if isinstance(quiet, Ended) and quiet.why == "tampered" else reply


def _event(cell: int, result: Reply | Ended) -> Event:
    if isinstance(result, Ended):
        return cell, result.why, result.detail, b"", result.cpu_s, result.wall_s
    if result.kind == b"A":
        return cell, "answer", "", result.body, result.cpu_s, result.wall_s
    if result.kind == b"E":
        return cell, "failure", "", result.body, result.cpu_s, result.wall_s
    return cell, "tampered", "a question instead of an answer", b"", result.cpu_s, result.wall_s
