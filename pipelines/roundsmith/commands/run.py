"""`roundsmith run`: rounds on one machine, resumable at any moment."""

import asyncio
import fcntl
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console

from roundsmith.commands.decided import Decided
from roundsmith.commands.exported import export
from roundsmith.commands.planned import planned
from roundsmith.commands.progress import ProgressView
from roundsmith.commands.promotions import rolled_back
from roundsmith.commands.show import show
from roundsmith.errors import ConfigError, Corrupt
from roundsmith.pair_builder.rules import configure, find_rule, load_rules
from roundsmith.platform.local import LocalPlatform
from roundsmith.recipes.contract import Recipe
from roundsmith.report.summary import Summary
from roundsmith.report.tracking import check_trackers, tell
from roundsmith.round import play_rounds
from roundsmith.startup import search_what_follows
from roundsmith.steps import run_step
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context, Platform
from roundsmith.steps.plan import remaining
from roundsmith.steps.spent import Spent
from roundsmith.storage import make_output_folder, replace_file
from roundsmith.store import Store
from roundsmith.store.leases import leased
from roundsmith.store.overlay import existing

T = TypeVar("T")
log = logging.getLogger(__name__)
MENDS = 20
"""Damaged objects that one run makes anew; more is a broken disk."""


def run_rounds(
    config: RunConfig, out: Path, console: Console, otlp_endpoint: str | None = None
) -> list[Summary]:
    """Plays the rounds of a run in a folder; exports and shows each as soon as it is over. What was
    finished before is found. The services send their spans to the endpoint.

    Raises ConfigError before anything is started when the settings are wrong.
    """
    check(config)
    platform = LocalPlatform(config, (out / "work").resolve(), otlp_endpoint)
    return play(config, out, str(out / "store"), platform, console)


class RunPlatform(Platform, Protocol):
    """A platform as a run holds it."""

    async def watched(self, work: Awaitable[T]) -> T:
        """The result of `work`; raises PlatformError as soon as it can have none."""

    async def close(self) -> None:
        """Ends what the run started."""


def play(
    config: RunConfig,
    out: Path,
    store: str,
    platform: RunPlatform,
    console: Console,
    keep: Callable[[Path], None] = lambda folder: None,
    run: str = "",
) -> list[Summary]:
    """Plays the rounds on a platform, over the store at a URL; `keep` is handed each round's folder
    when it is whole. `run` is the URL of the run's files where they do not stay in the folder.
    """
    make_output_folder(out)
    with (
        only_run(out),
        leased(store, uuid.uuid4().hex, alone=True) as hold,
        asyncio.Runner() as runner,
        ProgressView(console) as view,
    ):
        settings = config.model_dump_json(indent=2) + "\n"
        replace_file(str(out / "run.json"), settings.encode())
        run = run or str(out)
        expected = expectations(config, store, platform, run)
        context = Context(Store(store), config, 1, platform, view)
        rounds = _Rounds(context, platform, out, expected, runner, view, hold, rolled_back(run))

        def over() -> Iterator[Summary]:
            for summary, folder in rounds.play():
                yield summary
                keep(folder)

        search_what_follows()
        try:
            return mended(context.store, lambda: _shown(over(), out, console))
        finally:
            runner.run(platform.close())


class _Rounds:
    """The rounds of a run while they are played: which is next, and whether one is."""

    def __init__(
        self,
        context: Context,
        platform: RunPlatform,
        out: Path,
        expected: Mapping[int, Spent],
        runner: asyncio.Runner,
        view: ProgressView,
        hold: Callable[[str], None],
        taken_back: frozenset[str],
    ) -> None:
        self._context, self._platform, self._out = context, platform, out
        self._expected, self._runner, self._view = expected, runner, view
        self._hold = hold
        self._decided = Decided(taken_back)

    def play(self) -> Iterator[tuple[Summary, Path]]:
        """The rounds from the first on, each with its folder as soon as it is over."""
        self._decided.begin()
        config, recipe = self._context.config, self._context.recipe
        numbers = range(1, config.rounds + 1)
        parts = (config.control, recipe.own_writer, recipe.on_train)
        for refs in play_rounds(
            self._do, self._promoted, numbers, self._begin, *parts, self._stops
        ):
            folder = self._out / f"round-{self._context.round}"
            summary = export(self._context, refs, folder)
            loss = self._context.manifest(refs.checkpoint).stats["loss"]
            tell(config.tracking, config.model_dump(mode="json"), self._out, summary, loss)
            yield summary, folder

    def _begin(self, number: int) -> None:
        estimate = self._expected.get(number)
        self._context = replace(self._context, round=number, estimate=estimate)
        config = self._context.config
        self._view.forget()
        self._view.console.print(f"[bold]round {number} of {config.rounds}[/]: {config.recipe}")

    def _do(self, step: str, split: str = "", of: str = "", /, **refs: str) -> str:
        told = replace(self._context, progress=self._view.of(of))
        work = self._platform.watched(run_step(told, step, split=split, **refs))
        ref = self._runner.run(work)
        self._hold(ref)
        self._decided.add(self._context, ref)
        return ref

    def _promoted(self, decision: str) -> bool:
        return self._decided.promoted(self._context, decision)

    def _stops(self, decision: str, rows: str) -> bool:
        why = self._decided.why_last(self._context, decision, rows)
        if why is not None:
            self._view.console.print(f"round {self._context.round} is the last: {why}")
        return why is not None


def _shown(summaries: Iterable[Summary], out: Path, console: Console) -> list[Summary]:
    """Shows each round as soon as it is over."""
    shown = []
    for summary in summaries:
        show(summary, out / f"round-{summary.result.round}", console)
        shown.append(summary)
    return shown


def mended(store: Store, work: Callable[[], T]) -> T:
    """The result of `work`, which is begun again after an object turned out to be damaged: what
    names it is taken back, and made anew. Whatever else went wrong beside it is raised.
    """
    for _ in range(MENDS):
        damages: list[Corrupt] = []
        try:
            return work()
        except* Corrupt as found:  # alone, or in the group of tasks that ran side by side
            damages = _damages(found)
        for damage in damages:
            lost = store.forget(damage.sha256)
            names = ", ".join(manifest.reference for manifest in lost) or "nothing"
            log.warning("%s (taken back: %s)", damage, names)
    return work()


def _damages(found: ExceptionGroup[Corrupt]) -> list[Corrupt]:
    """What is in a group, however deep, once for each object."""
    by_object: dict[str, Corrupt] = {}
    for error in found.exceptions:
        inside = _damages(error) if isinstance(error, ExceptionGroup) else [error]
        by_object |= {damage.sha256: damage for damage in inside}
    return list(by_object.values())


def expectations(config: RunConfig, store: str, platform: Platform, run: str) -> dict[int, Spent]:
    """What every round of a run is expected to take, by the work that is in the store;
    rounds that nothing tells of are left out.
    """
    if existing(store) is None:
        return {}
    try:
        steps = planned(config, store, platform, run)
    except Corrupt as damage:  # the run itself mends it
        log.warning("nothing is expected of this run: %s", damage)
        return {}
    found = {number: remaining(steps, number) for number in range(1, config.rounds + 1)}
    return {number: spent for number, spent in found.items() if spent is not None}


def default_preset(model: str) -> str:
    """`lab` for a model of the lab, shipped, by `roundsmith lab train` or a checkpoint of these,
    else `paper` where a GPU is there, `laptop` where none is.
    """
    if preset_elsewhere(model) == "lab":
        return "lab"
    import torch

    return "paper" if torch.cuda.is_available() else "laptop"


def preset_elsewhere(model: str) -> str:
    """The same for a run on other machines than this one: by the model alone."""
    from roundsmith.lab import MODELS
    from roundsmith.lab.bases import is_of_the_lab

    return "lab" if model in MODELS or is_of_the_lab(Path(model)) else "paper"


def check(config: RunConfig) -> Recipe:
    """The recipe of a run; raises ConfigError for one or a setting of it that does not exist, and
    for a tracker whose package is not installed.
    """
    check_trackers(config.tracking)
    rules = load_rules(config.recipes)
    recipe = configure(find_rule(rules, config.recipe), config.recipe, config.recipe_config)
    assert isinstance(recipe, Recipe)
    if config.control and not recipe.has_control:
        raise ConfigError(
            f"--control: expected a recipe that trains on gold rows and others, saw "
            f"{config.recipe}, which does not: leave --control out"
        )
    return recipe


@contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Holds a run's folder for this process; ConfigError when another run holds it."""
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"{out}: expected no other run in this folder, saw one: wait for it, stop it, or "
                "give another --out"
            ) from error
        yield
