"""Tries each promise of isolation for real: a program attempts the forbidden thing in an ordinary
sandboxed child.
"""

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from roundsmith.errors import IsolationFloor, SandboxError
from roundsmith.executor.capabilities import IsolationCheck
from roundsmith.executor.promises import Promise, promises
from roundsmith.executor.supervisor import Supervisor
from roundsmith.sandbox import attempts
from roundsmith.sandbox.codec import decode, encode
from roundsmith.sandbox.runs import LOADING, Run
from roundsmith.types import Limits

_CPU_S = 5.0
TIERS = ("T0", "T1", "T2", "T3")


async def probe(supervisor: Supervisor) -> tuple[IsolationCheck, ...]:
    """Tries every promise in one child each run of the supervisor. Raises SandboxError when a child
    can not start.
    """
    tried = promises(supervisor.started.pid)
    cells = tuple((b"C", encode((p.attempt, p.arguments, {}))) for p in tried)
    limits = Limits()
    run = Run(
        name="solution",
        setup="",
        source=Path(attempts.__file__).read_text(encoding="utf-8"),
        stdin=b"",
        cells=cells,
        fresh_cpu_s=_CPU_S,
        later_cpu_s=_CPU_S,
        wall_factor=limits.wall_factor,
        memory_bytes=limits.memory_bytes,
        output_bytes=limits.output_bytes,
        file_bytes=limits.file_bytes,
        processes=1,
    )
    seen: dict[int, str] = {}
    async with aclosing(supervisor.run(run)) as events:
        async for cell, what, detail, body, _, _ in events:
            said = f"done: {what} {detail} {body[:200]!r}"
            seen[cell] = str(decode(body)) if what == "answer" else said
    loading = seen.pop(LOADING, "no answer")
    if loading != "None":
        raise SandboxError(f"a child could not be confined, so nothing can be served: {loading}")
    checks = [
        _check(promise, seen.get(at, "done: not reached")) for at, promise in enumerate(tried)
    ]
    return (*checks, _network_check(supervisor.interfaces))


def _check(promise: Promise, answer: str) -> IsolationCheck:
    """An attempt answers `refused: ...` when it failed, as promised, else `done: ...`."""
    holds = answer.startswith("refused: ")
    detail = answer if holds else f"{answer}; this kernel or runtime lacks {promise.needs}"
    return IsolationCheck(promise.name, promise.tier, holds, detail)


def _network_check(interfaces: Sequence[str]) -> IsolationCheck:
    holds = list(interfaces) == ["lo"]
    return IsolationCheck(
        "own_network", "T2", holds, f"interfaces {list(interfaces) or 'of the host'}"
    )


def tier(checks: Sequence[IsolationCheck]) -> str:
    """The strongest tier whose promises, and those of the tiers below it, all hold; T0 when T1's do
    not.
    """
    held = "T0"
    for candidate in TIERS[1:3]:
        if not all(check.holds for check in checks if check.tier == candidate):
            break
        held = candidate
    return held


def require(floor: str, checks: Sequence[IsolationCheck], where: str) -> None:
    """Raises IsolationFloor, with what is missing `where`, when the tier is below the floor."""
    if TIERS.index(tier(checks)) >= TIERS.index(floor):
        return
    wanted = TIERS[: TIERS.index(floor) + 1]
    missing = [f"{c.name} ({c.detail})" for c in checks if not c.holds and c.tier in wanted]
    raise IsolationFloor(
        f"isolation {tier(checks)} holds on {where}, expected at least {floor}. Not held there: "
        f"{'; '.join(missing) or 'T3 is not something this process can see'}. "
        "Allow what is named, or lower --floor"
    )
