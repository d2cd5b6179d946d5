"""GiFT's chains, each going on by itself, beside chains in step and beside the release's loop; and
how busy they keep the generator.

All draw as many samples of the same tasks, judged by the same executor. Time in which the generator
is busy is what it tells by its own metric.
"""

import asyncio
import itertools
import re
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple, cast

from roundsmith.bench import BenchResult
from roundsmith.clients import Endpoints, GeneratorClient, Services, connect
from roundsmith.commands.bench.lockstep import InStep, Phases
from roundsmith.commands.bench.turns import in_turns, seconds
from roundsmith.commands.run import preset_elsewhere
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.hashing import content_hash
from roundsmith.lab import model_source
from roundsmith.lab import tasks as lab_tasks
from roundsmith.platform.local import LocalPlatform, service_commands
from roundsmith.platform.processes import ServiceProcesses
from roundsmith.presets import run_config
from roundsmith.recipes.session import Session
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context
from roundsmith.store import Manifest, Store
from roundsmith.types import Split, Task

BUSY = 0.9
"""The aim: the generator is busy for this share of the time that a round samples."""
_METRIC = re.compile(r"^roundsmith_generator_busy_seconds_total (\S+)$", re.MULTILINE)


class Size(NamedTuple):
    """Of what is measured: chains, tokens a completion at most, iterations of a chain, pairs of
    turns, and whether one more comes first that is not counted.
    """

    num_tasks: int
    max_tokens: int
    iterations: int
    turns: int
    warm_up: bool


_LAB = Size(num_tasks=48, max_tokens=128, iterations=2, turns=2, warm_up=True)
_OTHERS = Size(num_tasks=8, max_tokens=512, iterations=1, turns=2, warm_up=False)


@dataclass(frozen=True)
class Running:
    """The services that all ways share, and the session that each turn makes its own of."""

    services: Services
    metrics: str
    """Where the generator tells its metrics."""
    context: Context
    session: Session
    tasks: Sequence[Task]

    async def play(self, session: Session) -> None:
        """A chain of every task, all at once."""
        async with asyncio.TaskGroup() as chains:
            for task in self.tasks:
                chains.create_task(self.context.recipe.sample(task, session))

    def busy_s(self) -> float:
        """Seconds that the generator was busy for since it began."""
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=30) as page:
            found = _METRIC.search(page.read().decode())
        assert found is not None, "the generator tells how long it was busy"
        return float(found[1])


def measure(model: str, size: Size | None = None) -> list[BenchResult]:
    """Tasks a second of each way, and the shares of the time that the generator was busy.

    The lab's models end what they write. Others continue a function's head, as base models do in
    the paper's release, and may draw as many tokens as there, 512, which stop strings end here and
    cut there; on a CPU a turn of theirs takes minutes, and none is left out of the count.
    """
    if size is None:
        size = _LAB if preset_elsewhere(model) == "lab" else _OTHERS
    settings = (
        f"iterations={size.iterations}",
        f"max_tokens={size.max_tokens}",
        "style=completion",
    )
    config = run_config("lab", None, {"recipe": "gift", "model": model}, settings)
    with tempfile.TemporaryDirectory() as name, asyncio.Runner() as runner:
        world = _running(config, size.num_tasks, Path(name))
        running = runner.run(world.__aenter__())
        try:
            return _measured(running, runner, config, size)
        finally:
            runner.run(world.__aexit__(None, None, None))


def _measured(
    running: Running, runner: asyncio.Runner, config: RunConfig, size: Size
) -> list[BenchResult]:
    seeds, num_tasks = itertools.count(), len(running.tasks)
    busy: dict[str, list[float]] = {"alone": [], "in step": []}

    def watched(way: str, session: Session) -> None:
        before = running.busy_s()
        took = seconds(lambda: runner.run(running.play(session)))
        busy[way].append((running.busy_s() - before) / took)

    def alone() -> None:
        # The services know no answer to a seed that was not asked before.
        watched("alone", replace(running.session, seed=next(seeds)))

    def in_step() -> None:
        watched("in step", _in_step(running.session, next(seeds), num_tasks))

    def beside(against: str, theirs: Callable[[], object]) -> BenchResult:
        case = f"gift chains of {num_tasks} lab tasks"
        of = (case, num_tasks, "tasks/s", alone, against, theirs, size.turns)
        return in_turns(*of, warm_up=size.warm_up)

    def beside_release(against: str, prompt_by_prompt: bool) -> BenchResult:
        release = _release(running, config, prompt_by_prompt)

        def as_released() -> None:
            runner.run(running.play(_in_step(release, next(seeds), num_tasks)))

        return beside(against, as_released)

    rate = beside("a barrier each iteration", in_step)
    loop, slots = "the release's loop on generate", config.services.generator_slots
    others = [
        beside_release(f"{loop}, batches of {slots}", prompt_by_prompt=False),
        beside_release(f"{loop}, a prompt at a time", prompt_by_prompt=True),
    ]
    share, its = (median(busy[way]) for way in ("alone", "in step"))
    case = "share of sampling in which the generator is busy"
    return [
        rate,
        *others,
        BenchResult(case, share, "share", "the aim", BUSY, share / BUSY),
        BenchResult(case, share, "share", "a barrier each iteration", its, share / its),
    ]


def _in_step(session: Session, seed: int, num_chains: int) -> InStep:
    plain = {field.name: getattr(session, field.name) for field in fields(Session)}
    return InStep(**plain | {"seed": seed}, phases=Phases(num_chains))


def _release(running: Running, config: RunConfig, prompt_by_prompt: bool) -> Session:
    """A session whose completions are drawn by `generate`, in this process. How many prompts the
    release draws for at once is not known.
    """
    from roundsmith.commands.bench.by_generate import StaticBatches

    services = config.services
    settings = GeneratorSettings(
        model=model_source(config.model),
        slots=services.generator_slots,
        threads=services.threads,
        dtype=services.dtype,
        device=services.device,
    )
    drawn = cast(GeneratorClient, StaticBatches(settings, prompt_by_prompt))  # all it asks for
    return replace(running.session, services=replace(running.services, generator=drawn))


@asynccontextmanager
async def _running(config: RunConfig, num_tasks: int, folder: Path) -> AsyncIterator[Running]:
    chosen = lab_tasks(Split.TRAIN, num_tasks)
    processes = ServiceProcesses(folder / "services")
    commands = service_commands(config, model_source(config.model), folder, folder)
    try:
        started = await processes.start(
            {
                "generator": (*commands["generator"], "--metrics-port", "0"),
                "executor": commands["executor"],
            }
        )
        where = dict.fromkeys(Endpoints.model_fields.keys() - {"tls"}, "127.0.0.1:9")
        where |= {name: found["address"] for name, found in started.items()}
        async with connect(Endpoints.model_validate(where)) as services:
            weights = (await services.generator.model()).weights_sha256
            platform = LocalPlatform(config, folder / "work")
            context = Context(Store(str(folder / "store")), config, 1, platform, lambda *_: None)
            model = Manifest("model", content_hash("model"), stats={"weights_sha256": weights})
            session = await context.session(services, model, "gift", 1, chosen)
            metrics = started["generator"]["metrics_address"]
            yield Running(services, metrics, context, session, chosen)
    finally:
        await processes.stop()
