"""One slice: each executor and each peer in turn on the same programs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from roundsmith.executor.bench.programs import Workload
from roundsmith.executor.bench.served import Served


@dataclass(frozen=True, slots=True)
class Peer:
    """What is measured beside the executors. One of a `tier` is a peer of the executors of that
    tier alone; one that takes calls only is measured on the programs whose tests are calls.
    """

    name: str
    rate: Callable[[Workload, float], float]
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
                    row = cells if part.in_rows else cells * programs
                    unit = "cells/CPU s" if part.in_rows else "programs/CPU s"
                    found.append(Measured(f"{part.name}, {place}", unit, row, peer.name, theirs))
    return found
