"""A round of synthetic samples through store, select and export: whether time grows with the number
of samples and memory does not.

Each size runs in a process of its own, which tells seconds, CPU seconds and its largest resident
set by stage; a small round before it is not counted, so that what is done once (imports, thread
pools) does not make the smaller size look slow. The pair builder is a process beside it, which
holds the groups that it is asked for; its CPU time counts.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from roundsmith.bench import BenchResult
from roundsmith.clients import Endpoints, Services, connect
from roundsmith.commands.bench.growth import growth
from roundsmith.commands.bench.made import CODES, STEPS, WEIGHTS, group, many_tasks
from roundsmith.config import child_environment
from roundsmith.cpu_time import tree_cpu_s
from roundsmith.handover.dataset import export_rows
from roundsmith.hashing import content_hash
from roundsmith.lab import tasks
from roundsmith.platform.local import LocalPlatform
from roundsmith.platform.processes import ServiceProcesses
from roundsmith.presets import run_config
from roundsmith.startup import search_what_follows
from roundsmith.steps.config import RECIPES
from roundsmith.steps.context import Context
from roundsmith.steps.select import select
from roundsmith.steps.shards import batched
from roundsmith.store import GROUPS, TASKS, Manifest, Store
from roundsmith.types import Split

STAGES = ("store", "select", "export")
TIMES = 10
"""How much smaller the round is that the one of N samples is held against."""
WARM_UP = 2000
"""Samples of the round that is not counted."""
MIB = 2**20
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
"""CPU time is told in these."""


def measure(num_samples: int) -> list[BenchResult]:
    """Rates and the largest resident set of every stage with so many samples, beside a tenth."""
    amounts = (num_samples, num_samples // TIMES)
    large, small = (_round(amount) for amount in amounts)
    many, few = (f"{amount} samples" for amount in amounts)
    results = []
    for clock, unit in (("seconds", "samples/s"), ("cpu_seconds", "samples/CPU-s")):
        for stage in STAGES:
            rate, its = (n / r[clock][stage] for n, r in zip(amounts, (large, small), strict=True))
            results.append(BenchResult(f"{stage} {many}", rate, unit, few, its, rate / its))
    for stage in STAGES:
        size, its = (r["resident"][stage] / MIB for r in (large, small))
        case = f"resident set, {stage} {many}"
        results.append(BenchResult(case, size, "MiB", few, its, its / size))
    for clock, name in (("seconds", "time"), ("cpu_seconds", "CPU time")):
        took = [sum(r[clock].values()) for r in (large, small)]
        results.append(growth(f"{name} from {few} to {many}", took[0] / took[1], TIMES))
    return results


def _round(num_samples: int) -> Mapping[str, Mapping[str, float]]:
    command = [sys.executable, "-m", "roundsmith.commands.bench.synthetic", str(num_samples)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=child_environment())
    told: Mapping[str, Mapping[str, float]] = json.loads(done.stdout)
    return told


@dataclass
class Stages:
    """Seconds, CPU seconds of this process and those below it, and the largest resident set of this
    one in bytes, by stage.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    resident: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures what is done in it."""
        over, self.resident[name] = threading.Event(), 0.0

        def watch() -> None:
            while not over.wait(0.05):
                self.resident[name] = max(self.resident[name], _resident())

        watcher, begun, used = threading.Thread(target=watch), time.perf_counter(), tree_cpu_s()
        watcher.start()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - begun
            self.cpu_seconds[name] = max(tree_cpu_s() - used, TICK_S)
            over.set()
            watcher.join()
            self.resident[name] = max(self.resident[name], _resident())


@dataclass(frozen=True)
class PairsOnly(Context):
    """A context that has a pair builder and no other service."""

    running: Services | None = None

    async def services(self, model: Manifest) -> Services:
        """The pair builder's client; the others' lead nowhere."""
        assert self.running is not None
        return self.running


async def _play(num_samples: int, folder: Path) -> Stages:
    tasks(Split.TRAIN, 1)  # the lab makes all its tasks at the first call
    search_what_follows()  # as a run does
    async with _pair_builder(folder) as running:
        await _staged(WARM_UP, folder / "warm", running)
        return await _staged(num_samples, folder / "measured", running)


async def _staged(num_samples: int, folder: Path, running: Services) -> Stages:
    stages, store = Stages(), Store(str(folder / "store"))
    config = run_config("lab", None, {"recipe": "gift"}, [])
    num_groups = max(1, num_samples // (STEPS * CODES))
    with stages.stage("store"):
        task_set, scored = _stored(store, num_groups, config.shard_tasks)
    model = store.commit(
        Manifest("model", content_hash("model"), stats={"weights_sha256": WEIGHTS})
    )
    platform = LocalPlatform(config, folder / "work")
    ctx = PairsOnly(store, config, 1, platform, lambda *_: None, running=running)
    with stages.stage("select"):
        rows = await select(ctx, scored.reference, model.reference, task_set.reference)
    with stages.stage("export"):
        given = (store, ctx.manifest(rows), folder / "rows", "")
        await asyncio.to_thread(export_rows, *given, unknown_licences=True)
    return stages


def _stored(store: Store, num_groups: int, shard_tasks: int) -> tuple[Manifest, Manifest]:
    """Tasks and scored groups as the steps leave them, made and written shard by shard."""
    splits = [many_tasks(num_groups), iter(tasks(Split.GATE, 8)), iter(tasks(Split.FINAL, 8))]
    objects = tuple(store.write_rows(TASKS, of) for of in splits)
    task_set = store.commit(Manifest("tasks", content_hash("tasks"), objects))
    random, shards = Random(0), []
    for number, part in enumerate(batched(store.read_rows(TASKS, objects[0]), shard_tasks)):
        ref = store.write_rows(GROUPS, (group(task, random) for task in part))
        shard = Manifest("score-shard", content_hash("score", number), (ref,), (task_set.hash,))
        shards.append(store.commit(shard))
    every = tuple(ref for shard in shards for ref in shard.objects)
    scored = Manifest("score", content_hash("score"), every, (task_set.hash,))
    return task_set, store.commit(scored)


@asynccontextmanager
async def _pair_builder(folder: Path) -> AsyncIterator[Services]:
    processes = ServiceProcesses(folder / "services")
    try:
        started = await processes.start({"pair-builder": ("--recipes", RECIPES)})
        address = started["pair-builder"]["address"]
        where = dict.fromkeys(Endpoints.model_fields.keys() - {"tls"}, address)
        async with connect(Endpoints.model_validate(where)) as running:
            yield running
    finally:
        await processes.stop()


def _resident() -> float:
    """The resident set of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmRSS:"))
    return float(line.split()[1]) * 1024


def main() -> None:
    """Plays one round of so many samples and prints what it took."""
    with tempfile.TemporaryDirectory() as name:
        stages = asyncio.run(_play(int(sys.argv[1]), Path(name)))
    print(json.dumps(asdict(stages)))


if __name__ == "__main__":
    main()
