"""The supervisor's side of the profiles of other languages: a program is compiled once, in a child
of its own, sealed, and run in a fresh child for each input.
"""

import errno
import fcntl
import os
import signal
from collections import OrderedDict
from collections.abc import Callable, Mapping

from roundsmith.sandbox import named_input
from roundsmith.sandbox.children import Child, Children
from roundsmith.sandbox.codec import decode, encode
from roundsmith.sandbox.events import Event
from roundsmith.sandbox.exchange import ask
from roundsmith.sandbox.hardening import RunLimits
from roundsmith.sandbox.languages import COMPILE, LIMITS, MEMORY, PHASES, RUN, Language
from roundsmith.sandbox.questions import COMPILE as ASK_COMPILE
from roundsmith.sandbox.questions import FAULT, LAUNCH, OVERTIME, TRY, Budget, Ended, Reply
from roundsmith.sandbox.runs import CANARY, LOADING, Run
from roundsmith.sandbox.zygotes import ProfileBroken, Zygotes

_KEPT, _KEPT_BYTES = 8, 64 * 2**20
_MFD_EXEC = 0x10
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_WORDS = 750
_STACK, _THREAD_STACK = 64 * 2**20, 8 * 2**20
"""A thread gets as much as the first one may have, and all of it counts as memory."""
_COMPILERS = RunLimits(int(LIMITS.cpu_s), LIMITS.memory_bytes, LIMITS.file_bytes, LIMITS.processes)
_OWN_ENDS = {FAULT: "setup", OVERTIME: "cpu"}
_SAID_BY_RUNTIMES = {
    "unable to create native thread": "PROCESS_LIMIT",
    "failed to create new OS thread": "PROCESS_LIMIT",
    "java.lang.OutOfMemoryError": "MEMORY",
    "insufficient memory for the Java Runtime": "MEMORY",
    "std::bad_alloc": "MEMORY",
    "out of memory": "MEMORY",
    "Cannot allocate memory": "MEMORY",
    "Resource temporarily unavailable": "PROCESS_LIMIT",
}
"""Of what they were refused; a program that says so without need only fails."""


class Compiled:
    """Compiles and runs programs, and keeps the last few that it compiled, up to the size of the
    largest.
    """

    def __init__(self, zygotes: Zygotes, languages: Mapping[str, Language]) -> None:
        self._zygotes, self.languages = zygotes, languages
        self._kept: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    def forget(self) -> None:
        """Keeps none of them any more."""
        while self._kept:
            os.close(self._kept.popitem()[1])

    def execute(self, run: Run, report: Callable[[Event], None]) -> None:
        """Compiles, where that is not done, and runs on the input; leaves no process behind."""
        language = self.languages[run.profile]
        if run.name == CANARY:
            self._try(run, language, report)
            return
        program = self._program(run, language)
        if not isinstance(program, int):
            report(_event(LOADING, program))
            return
        children = self._zygotes.children(run.profile, RUN)
        # What the compiler used is not the program's.
        report((LOADING, "answer", "", b"", 0.0, 0.0))
        report(self._run(children, run, language, program))

    def _try(self, run: Run, language: Language, report: Callable[[Event], None]) -> None:
        """What a canary tries, in a child of each phase."""
        budget = Budget(run.fresh_cpu_s, run.wall_factor * run.fresh_cpu_s, run.output_bytes)
        limits = {COMPILE: _COMPILERS, RUN: _limits(run, language)}
        report((LOADING, "answer", "", encode(None), 0.0, 0.0))
        for cell, (phase, (_, named)) in enumerate(zip(PHASES, run.cells, strict=True)):
            children = self._zygotes.children(run.profile, phase)
            asked = encode((decode(named), self._zygotes.out_of_reach(run.profile, phase)))
            memory = memory_for(run.profile, started=False)
            try:
                child = children.start(limits[phase], program=memory)
                result = ask(children, child, TRY, asked, budget)
            finally:
                os.close(memory)
                children.end_all()
            report(_event(cell, result))
            if isinstance(result, Ended):
                return

    def _program(self, run: Run, language: Language) -> int | Reply | Ended:
        """The sealed memory of the program, or why there is none."""
        key = run.profile, run.setup, run.source
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        memory = memory_for(run.profile, started=not language.interpreter)
        try:
            answer = self._compile(run, language, memory)
        except BaseException:
            os.close(memory)
            raise
        if isinstance(answer, Ended) or answer.kind != b"A":
            os.close(memory)
            return answer
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
        self._kept[key] = memory
        while len(self._kept) > 1 and (len(self._kept) > _KEPT or self._num_bytes() > _KEPT_BYTES):
            os.close(self._kept.popitem(last=False)[1])
        return memory

    def _num_bytes(self) -> int:
        return sum(os.fstat(memory).st_size for memory in self._kept.values())

    def _compile(self, run: Run, language: Language, memory: int) -> Reply | Ended:
        children = self._zygotes.children(run.profile, COMPILE)
        text = f"{run.setup}\n{run.source}" if run.setup else run.source
        asked = encode(
            (
                language.compile,
                _environment(language, LIMITS.memory_bytes),
                language.source,
                text,
                language.product,
                language.packed,
            ),
            2**31,
        )
        budget = Budget(LIMITS.cpu_s, LIMITS.cpu_s * LIMITS.wall_factor, 2**16)
        try:
            child = children.start(_COMPILERS, program=memory)
            return ask(children, child, ASK_COMPILE, asked, budget)
        finally:
            # All that could still write to the memory is gone when it is sealed.
            children.end_all()
            children.settle()

    def _run(self, children: Children, run: Run, language: Language, program: int) -> Event:
        asked = encode(
            (
                tuple(_filled(text, run.memory_bytes) for text in language.run),
                _environment(language, run.memory_bytes),
                language.interpreter,
                language.product,
                language.address_space + run.memory_bytes,
                language.writable + run.memory_bytes,
                _THREAD_STACK if language.threads or run.processes > 1 else _STACK,
                named_input.is_named(run.source),
            )
        )
        budget = Budget(run.fresh_cpu_s, run.wall_factor * run.fresh_cpu_s, run.output_bytes)
        try:
            child = children.start(_limits(run, language), run.stdin, program)
            ended = ask(children, child, LAUNCH, asked, budget)
            return _ran(child, ended)
        finally:
            children.end_all()


def memory_for(profile: str, *, started: bool) -> int:
    """Memory for a program, which is `started` from there or only read. Raises ProfileBroken where
    this machine starts nothing from memory, which is no program's fault.
    """
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    if not started:
        return os.memfd_create("program", flags)
    try:
        return os.memfd_create("program", flags | _MFD_EXEC)
    except OSError as error:
        if error.errno == errno.EACCES:
            raise ProfileBroken(
                f"profile {profile}: expected that a program can be started from memory, saw "
                f"{error.strerror}: set vm.memfd_noexec to 1 or 0"
            ) from error
        if error.errno != errno.EINVAL:
            raise
    # A kernel before 6.3, or gVisor, knows no such flag: all memory can be started.
    return os.memfd_create("program", flags)


def _limits(run: Run, language: Language) -> RunLimits:
    return run.limits()._replace(processes=run.processes + language.threads)


def _filled(text: str, memory_bytes: int) -> str:
    return text.replace(MEMORY, str(memory_bytes))


def _environment(language: Language, memory_bytes: int) -> tuple[tuple[str, str], ...]:
    return tuple((name, _filled(text, memory_bytes)) for name, text in language.environment)


def _ran(child: Child, ended: Reply | Ended) -> Event:
    """What counts is what it printed, when it ended well."""
    printed, errors = (bytes(stream) for stream in child.streams.values())
    event = _event(0, ended)
    if event[1:3] == ("exit", "0"):
        return 0, "answer", "", printed, event[4], event[5]
    if event[1] not in ("exit", "signal") or event[1:3] == ("signal", str(int(signal.SIGKILL))):
        return event
    words = errors.decode("utf-8", "replace")
    kind = next((kind for said, kind in _SAID_BY_RUNTIMES.items() if said in words), "")
    if len(words) > 2 * _WORDS:
        # Some runtimes say why first, others last.
        words = f"{words[:_WORDS].rstrip()}\n...\n{words[-_WORDS:]}"
    if event[1] == "signal" and not kind:
        return event
    why = f"{event[1]} {event[2]}: {words.strip()}".rstrip(": ")
    return 0, "failure", "", encode((kind or "ERROR", why)), event[4], event[5]


def _event(cell: int, result: Reply | Ended) -> Event:
    if isinstance(result, Ended):
        return cell, result.why, result.detail, b"", result.cpu_s, result.wall_s
    if result.kind in _OWN_ENDS:
        said = result.body.decode("utf-8", "replace")
        return cell, _OWN_ENDS[result.kind], said, b"", result.cpu_s, result.wall_s
    what = {b"A": "answer", b"E": "failure"}
    return cell, what[result.kind], "", result.body, result.cpu_s, result.wall_s
