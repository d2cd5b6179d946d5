"""An executor whose sandboxes fail by seed: the real one, with verdicts taken from some cells.

python -m tests.chaos.faulty_executor --share 0.2 --seed 7 --ready-file FILE
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random

from roundsmith.config import ServeSettings
from roundsmith.executor.capabilities import Capabilities
from roundsmith.executor.pool import Pool
from roundsmith.executor.service import bindings
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.serve import Service, run
from roundsmith.types import ExecuteItem, Outcome
from roundsmith.verdicts import Verdict


class FaultyPool:
    """Runs everything, and says of a share of the cells that the sandbox failed."""

    def __init__(self, pool: Pool, share: float, seed: int, counts: Path) -> None:
        self._pool, self._share, self._random = pool, share, Random(seed)
        self._counts, self._cells, self._faults = counts, 0, 0

    async def batches(self, item: ExecuteItem, caller: str) -> AsyncIterator[list[Outcome]]:
        """The outcomes of a matrix, some of them lost."""
        async for batch in self._pool.batches(item, caller):
            yield [self._perhaps_lost(outcome) for outcome in batch]
        self._counts.write_text(f"{self._faults} {self._cells}")

    def _perhaps_lost(self, outcome: Outcome) -> Outcome:
        self._cells += 1
        if self._random.random() >= self._share:
            return outcome
        self._faults += 1
        verdict = self._random.choice((Verdict.INFRA_ERROR, Verdict.CANCELLED))
        return replace(outcome, verdict=verdict, detail="a fault of the test")

    def capabilities(self) -> Capabilities:
        """Those of the real one."""
        return self._pool.capabilities()


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--ready-file", type=Path, required=True)
    given = parser.parse_args()
    settings = ServeSettings()

    async def start() -> Service:
        pool = await Pool.start(ExecutorSettings())
        counts = given.ready_file.with_suffix(".counts")
        faulty = FaultyPool(pool, given.share, given.seed, counts)
        return Service(bindings(faulty, settings), pool.close)

    asyncio.run(run(start, settings, given.ready_file))


if __name__ == "__main__":
    main()
