"""Tries each promise of isolation for real, in an ordinary sandboxed child: once before a sandbox
serves, and again, as canaries, while it does.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from roundsmith.errors import IsolationFloor, SandboxError
from roundsmith.executor.capabilities import IsolationCheck
from roundsmith.executor.promises import Promise, promises, promises_of
from roundsmith.executor.supervisor import Supervisor
from roundsmith.sandbox import attempts
from roundsmith.sandbox.codec import CodecError, decode, encode
from roundsmith.sandbox.events import Event
from roundsmith.sandbox.languages import PHASES
from roundsmith.sandbox.profiles import BASE, PYTHON
from roundsmith.sandbox.runs import CANARY, LOADING, Run
from roundsmith.types import Limits

_Call = tuple[str, tuple[object, ...]]

_CPU_S = 5.0
_PROCESSES = 4
_NAMESPACES = {"user": "user", "mnt": "mount", "ipc": "ipc", "uts": "uts"}
TIERS = ("T0", "T1", "T2", "T3")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a canary saw: every promise as tried, and its surroundings by what they are called."""

    checks: tuple[IsolationCheck, ...]
    surroundings: dict[str, str]


async def probe(supervisor: Supervisor, count_threads: bool, profile: str = BASE) -> Seen:
    """Tries every promise in a profile, looks for traces of earlier runs and leaves some, all in
    one child, or in one of each phase; in a Python profile threads are counted in one more, where
    `count_threads` says so.

    Raises SandboxError when a child can not start, does not answer, or answers what no canary does.
    """
    try:
        if profile not in PYTHON:
            return await _probe_phases(supervisor, profile)
        return await _probe_python(supervisor, count_threads, profile)
    except (TypeError, ValueError, AttributeError) as error:
        raise SandboxError(f"what a canary answered is none of its answers: {error}") from error


async def _probe_python(supervisor: Supervisor, count_threads: bool, profile: str) -> Seen:
    tried = promises(supervisor.started.pid)
    calls: list[_Call] = [("try_all", (_named(tried),)), ("surroundings", ()), ("leave_traces", ())]
    said, surroundings, _ = await _answers(supervisor, _run(calls, 1, profile))
    checks = [_check(promise, answer) for promise, answer in zip(tried, said, strict=True)]
    if count_threads:
        counting = _run([("count_threads", ())], _PROCESSES, profile)
        (count,) = await _answers(supervisor, counting)
        surroundings["threads"] = str(count)
    checks += [
        _network_check(supervisor.told.interfaces),
        *_namespace_checks(supervisor.told.namespaces),
        _kernel_check(supervisor.told.kernel),
    ]
    return _seen(checks, surroundings)


async def _probe_phases(supervisor: Supervisor, profile: str) -> Seen:
    tried = [promises_of(phase, supervisor.started.pid) for phase in PHASES]
    # The last promise is tried without being named, by what the supervisor knows.
    cells = [(b"Y", encode(_named(promised[:-1]))) for promised in tried]
    run = _run([], 1, profile)._replace(name=CANARY, source="", cells=tuple(cells))
    checks: list[IsolationCheck] = []
    surroundings: dict[str, str] = {}
    answers = await _answers(supervisor, run)
    for phase, promised, (said, seen) in zip(PHASES, tried, answers, strict=True):
        checks += [_check(promise, answer) for promise, answer in zip(promised, said, strict=True)]
        surroundings |= {f"{name} of {phase}": text for name, text in seen.items()}
    return _seen(checks, surroundings)


def _seen(checks: Sequence[IsolationCheck], surroundings: dict[str, str]) -> Seen:
    """Raises TypeError where a sandbox says what is no text."""
    if not all(type(text) is str for pair in surroundings.items() for text in pair):
        raise TypeError("surroundings that are no texts")
    return Seen(tuple(checks), surroundings)


def _named(tried: Sequence[Promise]) -> list[_Call]:
    return [(promise.attempt, promise.arguments) for promise in tried]


async def _answers(supervisor: Supervisor, run: Run) -> list[Any]:
    """What a canary's children answer."""
    answers: list[Any] = []
    batches: AsyncGenerator[list[Event], None] = supervisor.run(run)
    async with aclosing(batches):
        async for cell, what, detail, body, _, _ in (e async for events in batches for e in events):
            if what != "answer":
                asked = "its program" if cell == LOADING else f"question {cell} of a canary"
                said = detail or body[:200].decode(errors="replace")
                raise SandboxError(
                    f"a child could not be confined, so nothing can be served: {asked} was "
                    f"answered by {what} {said}"
                )
            try:
                answers.append(decode(body))
            except CodecError as error:
                raise SandboxError(f"a canary's answer can not be read: {error}") from error
    return answers[1:]


def _run(calls: Sequence[_Call], processes: int, profile: str) -> Run:
    limits = Limits()
    return Run(
        name="solution",
        setup="",
        source=attempts.PROGRAM,
        stdin=b"",
        cells=tuple((b"C", encode((name, arguments, {}))) for name, arguments in calls),
        fresh_cpu_s=_CPU_S,
        later_cpu_s=_CPU_S,
        wall_factor=limits.wall_factor,
        memory_bytes=limits.memory_bytes,
        output_bytes=limits.output_bytes,
        file_bytes=limits.file_bytes,
        processes=processes,
        profile=profile,
    )


def _check(promise: Promise, answer: str) -> IsolationCheck:
    """An attempt answers `refused: ...` when it failed, as promised, else `done: ...`."""
    holds = answer.startswith("refused: ")
    detail = answer if holds else f"{answer}; this kernel or runtime lacks {promise.needs}"
    return IsolationCheck(promise.name, promise.tier, holds, detail, promise.by_landlock)


def _network_check(interfaces: Sequence[str]) -> IsolationCheck:
    holds = list(interfaces) == ["lo"]
    return IsolationCheck(
        "own_network", "T2", holds, f"interfaces {list(interfaces) or 'of the host'}"
    )


def _namespace_checks(own: Sequence[str]) -> list[IsolationCheck]:
    """Of those that nothing which a child may do would tell of."""
    return [
        IsolationCheck(
            f"own_{name}_namespace",
            "T2",
            kind in own,
            "another than outside" if kind in own else "that of the processes outside",
        )
        for kind, name in _NAMESPACES.items()
    ]


def _kernel_check(kernel: str) -> IsolationCheck:
    return IsolationCheck("own_kernel", "T3", bool(kernel), kernel or "the machine's kernel")


def tier(checks: Sequence[IsolationCheck]) -> str:
    """The strongest tier that holds; T0 when T1 does not.

    T2 is all its promises and those of T1. T3 is a kernel of the sandbox's own around T1, but for
    what Landlock alone keeps, because gVisor has none.
    """
    if not all(check.holds for check in checks if check.tier == "T1" and not check.by_landlock):
        return "T0"
    if any(check.holds for check in checks if check.tier == "T3"):
        return "T3"
    lost = {check.tier for check in checks if not check.holds}
    return "T0" if "T1" in lost else "T1" if "T2" in lost else "T2"


def require(floor: str, checks: Sequence[IsolationCheck], where: str) -> None:
    """Raises IsolationFloor, with what is missing `where`, when the tier is below the floor."""
    if TIERS.index(tier(checks)) >= TIERS.index(floor):
        return
    wanted = TIERS[: TIERS.index(floor) + 1]
    missing = [f"{c.name} ({c.detail})" for c in checks if not c.holds and c.tier in wanted]
    raise IsolationFloor(
        f"isolation {tier(checks)} holds on {where}, expected at least {floor}. Not held there: "
        f"{'; '.join(missing)}. "
        "Allow what is named, or lower --floor (of a run: executor_floor of its [services])"
    )
