"""From what the sandbox reports of one cell to how it ended."""

import signal
from typing import NamedTuple

from roundsmith.errors import SandboxError
from roundsmith.executor.asked_asserts import NotSplittable
from roundsmith.executor.questions import SCRIPT, TESTER, Question
from roundsmith.sandbox.codec import CodecError, Node, nodes
from roundsmith.sandbox.events import Event
from roundsmith.sandbox.failures import OVERSIZED
from roundsmith.sandbox.runs import LOADING
from roundsmith.sandbox.tester import UNSUPPORTED
from roundsmith.types import Phase
from roundsmith.verdicts import Verdict


class Unsupported(Exception):
    """The question does not work for this program; `inside` says whether only the solver's own
    process is left.
    """

    def __init__(self, inside: bool) -> None:
        super().__init__(inside)
        self.inside = inside


class Ending(NamedTuple):
    """How one cell, or the loading of a program, ended; CPU and wall in seconds."""

    verdict: Verdict
    detail: str
    cpu_s: float
    wall_s: float
    phase: Phase = Phase.RUN
    oversized: bool = False
    """Whether values that are too large to be sent ended it: that says nothing of the program."""


# What a child may say of itself; none of it is a PASS.
_CLAIMS = {
    verdict.value: verdict
    for verdict in (
        Verdict.FAIL,
        Verdict.ERROR,
        Verdict.COMPILE_ERROR,
        Verdict.MEMORY,
        Verdict.FILE_LIMIT,
        Verdict.PROCESS_LIMIT,
        Verdict.DENIED,
        Verdict.EXITED_EARLY,
        Verdict.TAMPERED,
    )
}
_MOST_CLAIM_BYTES = 2**14
"""The words of a compiler are the most that a failure has."""
_ENDS = {
    "cpu": Verdict.CPU_TIMEOUT,
    "wall": Verdict.WALL_TIMEOUT,
    "output": Verdict.OUTPUT_LIMIT,
    "tampered": Verdict.TAMPERED,
    "exit": Verdict.EXITED_EARLY,
}
_SIGNALS: dict[int, Verdict] = {
    signal.SIGXCPU: Verdict.CPU_TIMEOUT,
    signal.SIGSYS: Verdict.DENIED,
    signal.SIGXFSZ: Verdict.FILE_LIMIT,
}
TIMEOUTS = frozenset({Verdict.CPU_TIMEOUT, Verdict.WALL_TIMEOUT})
# What depends on what ran before in the same child: only a run alone decides it.
RESOURCES = frozenset(
    TIMEOUTS | {Verdict.MEMORY, Verdict.OUTPUT_LIMIT, Verdict.FILE_LIMIT, Verdict.PROCESS_LIMIT}
)


def passed(question: Question, event: Event) -> Ending | None:
    """How a cell ended whose answer is, byte by byte, that of a right program, as nearly every one
    is; None for any other.
    """
    _, what, _, body, cpu_s, wall_s = event
    if what == "answer" and body == question.right:
        return Ending(Verdict.PASS, "", cpu_s, wall_s)
    return None


def ending(question: Question, event: Event) -> Ending:
    """Reads one event. Raises SandboxError when the sandbox failed, Unsupported when the test needs
    another way.
    """
    cell, what, detail, body, cpu_s, wall_s = event
    oversized = False
    if what == "answer":
        verdict, detail = _judged(question, body) if cell != LOADING else (Verdict.PASS, "")
    elif what == "failure":
        verdict, detail, oversized = _claimed(question, body)
    elif what == "signal":
        verdict, detail = _signaled(detail)
    elif what in _ENDS:
        verdict, detail = _ENDS[what], f"exit status {detail}" if what == "exit" else detail
    else:
        raise SandboxError(f"a child could not be set up: {detail}")
    phase = _phase(question, cell, verdict)
    if phase is Phase.COMPILE and verdict is not Verdict.COMPILE_ERROR:
        detail = f"compiling: {detail}"
    return Ending(verdict, detail, cpu_s, wall_s, phase, oversized)


def _phase(question: Question, cell: int, verdict: Verdict) -> Phase:
    # A script is loaded as it runs, so what comes before that is a compiler.
    if verdict is Verdict.COMPILE_ERROR or (cell == LOADING and question.kind == SCRIPT):
        return Phase.COMPILE
    return Phase.LOAD if cell == LOADING else Phase.RUN


def _judged(question: Question, answer: bytes) -> tuple[Verdict, str]:
    try:
        return question.judge(answer)
    except NotSplittable as error:
        raise Unsupported(inside=False) from error
    except CodecError as error:
        return Verdict.TAMPERED, f"an answer that is no value: {error}"


def _claimed(question: Question, body: bytes) -> tuple[Verdict, str, bool]:
    try:
        said = nodes(body, _MOST_CLAIM_BYTES)
    except CodecError:
        said = Node("N", None)
    match said:
        case Node("t", (Node("s", kind), Node("s", detail))):
            # Only a tester may ask for another way, never the program: that way is weaker.
            if kind == UNSUPPORTED and question.kind == TESTER:
                raise Unsupported(inside=True)
            if kind == OVERSIZED:
                return Verdict.ERROR, detail, True
            if kind in _CLAIMS:
                return _CLAIMS[kind], detail, False
    return Verdict.TAMPERED, "a failure that can not be one", False


def _signaled(said: str) -> tuple[Verdict, str]:
    number = int(said) if said.isdecimal() and len(said) < 4 else 0
    if not 0 < number < signal.NSIG:
        raise SandboxError(f"a child ended by signal {said[:20]!r}, which is none")
    if number == signal.SIGKILL:
        # No program can bring it about, and the supervisor did not.
        raise SandboxError(
            "a child was killed from outside the sandbox: by the kernel where memory ran short "
            "(give the container more than its slots may take), or by a person"
        )
    # Real-time signals have numbers only.
    names = {known.value: known.name for known in signal.Signals}
    return _SIGNALS.get(number, Verdict.SIGNALED), names.get(number, f"signal {number}")
