"""One slice: each executor and each peer in turn on the same programs."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from roundsmith.executor.bench.cpu import Rate
from roundsmith.executor.bench.programs import Workload
from roundsmith.executor.bench.served import Served


@dataclass(frozen=True, slots=True)
class Peer:
    """What is measured beside the executors. One of a `tier` is a peer of the executors of that
    tier alone; one that takes calls only is measured on the programs whose tests are calls.
    """

    name: str
    rate: Callable[[Workload, float], Rate]
    tier: str = ""
    only_calls: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """One slice of one case beside one peer, both in `unit`."""

    case: str
    unit: str
    value: float
    against: str
    against_value: float


async def measured(
    workload: Workload, places: list[Served], peers: list[Peer], seconds: float
) -> list[Measured]:
    """The slice's rates: every executor beside every peer."""
    found: list[Measured] = []
    for only_calls in (False, True):
        turn = [peer for peer in peers if peer.only_calls is only_calls]
        part = workload.with_calls() if only_calls else workload
        if not turn or not part.cases:
            continue
        programs = len(part.cases) / part.num_cells
        ours = {place.place: await place.rate(part, seconds) for place in places}
        for peer in turn:
            theirs = await asyncio.to_thread(peer.rate, part, seconds)
            for place, cells in ours.items():
                if peer.tier in ("", place[:2]):
                    row = cells if part.in_rows else cells.times(programs)
                    found += _beside(part, place, row, peer.name, theirs)
    return found


async def scientific(workload: Workload, places: list[Served], seconds: float) -> list[Measured]:
    """The slice's rates in the profile `scientific` beside those in `base`, where there is one."""
    found: list[Measured] = []
    other = replace(workload, name=f"{workload.name} in scientific", profile="scientific")
    for place in places:
        if other.profile in place.pool.capabilities().profiles:
            await place.rate(other, 0.0)  # its zygote is made at the first run
            ours, base = await place.rate(other, seconds), await place.rate(workload, seconds)
            found += _beside(other, place.place, ours, workload.profile, base)
    return found


def _beside(
    workload: Workload, place: str, ours: Rate, name: str, theirs: Rate
) -> Iterator[Measured]:
    case, counted = f"{workload.name}, {place}", "cells" if workload.in_rows else "programs"
    for unit, value, other in zip(("CPU s", "s"), ours, theirs, strict=True):
        yield Measured(case, f"{counted}/{unit}", value, name, other)
