"""What the tasks of the pipeline run: a part of a round, its report, what follows it."""

import asyncio
import functools
import logging
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from roundsmith import tracing
from roundsmith.commands.exported import export
from roundsmith.commands.run import RunPlatform, mended
from roundsmith.errors import RoundsmithError
from roundsmith.platform.chain import Chain
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.handing_on import hand_on
from roundsmith.platform.inference_service import InferenceService
from roundsmith.platform.kubernetes_api import KubernetesApi
from roundsmith.platform.manifests import RUN
from roundsmith.platform.parameters import RoundPlan, check_parameters, run_name
from roundsmith.platform.place import platform_of, read_place
from roundsmith.platform.stages import REPORT, play_until
from roundsmith.platform.training_kinds import kinds_of
from roundsmith.report.metrics import metrics
from roundsmith.report.summary import from_json
from roundsmith.round import RoundRefs
from roundsmith.startup import search_what_follows
from roundsmith.steps import run_step
from roundsmith.steps.context import Context
from roundsmith.steps.inputs import check_inputs
from roundsmith.steps.own_work import kept_spent
from roundsmith.steps.seen import round_seen
from roundsmith.steps.spent import Spent, spent_on
from roundsmith.store import Store
from roundsmith.store.exports import copy_round
from roundsmith.store.leases import leased

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

Ended = Callable[[Context, RoundRefs[str]], object]
"""Told of a round that is over, and what it made."""
LINE_EVERY_S = 5.0
"""How often a task logs the progress of its step at most."""
INTERRUPTED = 130
"""The exit code of a task that was told to end."""


def _readable(task: Callable[P, T]) -> Callable[P, T]:
    """The function of a task, whose refusal is one message at the end of its log."""

    @functools.wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
        try:
            with _ended_in_order():
                return task(*args, **kwargs)
        except RoundsmithError as error:
            raise SystemExit(f"{type(error).__name__}: {error}") from error
        except KeyboardInterrupt as error:
            log.warning("told to end: what was finished is kept, a task that is run again goes on")
            raise SystemExit(INTERRUPTED) from error

    return run


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM, by which Kubeflow ends the pod of a run that is terminated, is taken as Ctrl-C: the
    task ends its training, which no Job owns, and starts a generator again that it had stopped.
    Kubeflow does not run the exit task of every run that is terminated.
    """
    earlier = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(
            signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT)
        ),
    }
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@_readable
def check(parameters: Mapping[str, Any], run: str) -> str:
    """The plan of a run as JSON, for its other tasks. Raises ConfigError for what can not be."""
    plan = check_parameters(parameters, run)
    PlannedRound(plan).begin()
    log.info("chain %s, round %d of %d", plan.chain, plan.round, plan.config.rounds)
    return plan.model_dump_json()


@_readable
def run_stage(stage: str, plan: str) -> str:
    """Plays a part of a round; the reference of what it made last. A part that was played is found
    in the store, so that a task may be retried at any time.
    """
    planned = PlannedRound(RoundPlan.model_validate_json(plan))
    reached = planned.play(stage, lambda context, refs: None)
    return reached if isinstance(reached, str) else reached.report


@_readable
def write_report(plan: str, metric: Callable[[str, float], None], path: str) -> str:
    """Ends a round: its files to `runs/CHAIN/round-N` of the storage root, each of its numbers to
    `metric`, its report.html to `path`. The URL of the files.
    """
    planned = PlannedRound(RoundPlan.model_validate_json(plan))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "round")
        planned.play(REPORT, lambda context, refs: export(context, refs, folder))
        for name, value in metrics(from_json((folder / "summary.json").read_text())).items():
            metric(name, value)
        Path(path).write_text((folder / "report.html").read_text("utf-8"), "utf-8")
        return planned.keep(folder)


@_readable
def next_round(plan: str) -> str:
    """Submits the run of the chain's next round, once; says what was done."""
    planned = RoundPlan.model_validate_json(plan)
    place, number = planned.place, planned.round + 1
    chain = Chain(place.storage, planned.chain)
    record = chain.record(planned.round)
    assert record is not None, "the report of the round was written"
    name = run_name(planned.chain, number)
    if record.last:
        return f"chain {planned.chain} has ended: {record.last}"
    if chain.stopped:
        return f"chain {planned.chain} was cancelled: {name} is not submitted"
    if not isinstance(place, ClusterConfig) or not place.pipelines.host:
        return f"{name} is not submitted: no API of Kubeflow Pipelines is named"
    from roundsmith.platform.pipelines_api import PipelinesApi

    api = PipelinesApi(place.pipelines.host, place.namespace, place.pipelines.token)
    if not chain.claim(number, planned.run, api.lost):
        return f"{name} is submitted by another run of round {planned.round}"
    changes = {"round_number": number, "chain": planned.chain}
    return f"{name} is submitted: {api.submit_again(planned.run, name, changes)}"


@_readable
def release(cluster: str, run: str) -> str:
    """Ends the trainings that a run left behind, however it ended, and starts the generator that it
    had stopped for one, without waiting for it; says what it did.
    """
    place = read_place(cluster)
    if not isinstance(place, ClusterConfig):
        return "nothing to release on one machine"
    api = KubernetesApi(place.namespace)
    done = []
    for kind in kinds_of(place.training.job):
        if api.serves(kind.kind):
            for job in api.select(kind.kind, RUN, run):
                for made in reversed(kind.kinds):
                    api.delete(made, job["metadata"]["name"])
                done.append(f"{kind.title} {job['metadata']['name']}")
    generator = place.generator
    if generator.stopped_while_training:
        service = InferenceService(api, generator.inference_service)
        if service.release(run):
            done.append(f"inference service {service.name}")
    return ", ".join(done) or "no training was left"


class PlannedRound:
    """A round of a chain over the store that it shares with the others."""

    def __init__(self, plan: RoundPlan) -> None:
        self._plan, self._place = plan, plan.place
        self._chain = Chain(self._place.storage, plan.chain)
        self._store = Store(self._place.store)

    def begin(self) -> None:
        """Begins the chain, when its tasks and its model are such that a round can begin with them:
        one that was begun keeps its settings. Raises ConfigError where they are not.
        """
        with self._playing() as (context, _, runner):
            runner.run(check_inputs(context))
        self._chain.begin(self._plan.config)
        if self._plan.round == 1:
            self._chain.enter(self._plan.run)

    def play(self, stage: str, ended: Ended) -> RoundRefs[str] | str:
        """Plays up to the end of a part, in the trace of its round where the cluster has a
        collector; `ended` is told of a round that is over. What is damaged in the store is made
        anew.
        """
        # The pods of a round's other parts go on with the lease: it is left, and grows old.
        lease = leased(self._place.store, f"{self._plan.chain}-{self._plan.round}", alone=False)
        whole = tracing.shared(self._plan.chain, str(self._plan.round), self._plan.run)
        traced = tracing.program(f"roundsmith {stage}", self._collector, whole)
        with traced, lease as hold, self._playing() as (context, platform, runner):

            def played() -> RoundRefs[str] | str:
                reached = self._until(stage, context, platform, runner, hold)
                if not isinstance(reached, str):
                    ended(context, reached)
                return reached

            search_what_follows()
            return mended(self._store, played)

    @property
    def _collector(self) -> str | None:
        place = self._place
        return (place.tracing.otlp_endpoint or None) if isinstance(place, ClusterConfig) else None

    @contextmanager
    def _playing(self) -> Iterator[tuple[Context, RunPlatform, asyncio.Runner]]:
        plan = self._plan
        platform = platform_of(plan.config, self._place, plan.run)
        context = Context(self._store, plan.config, plan.round, platform, LoggedProgress())
        with asyncio.Runner() as runner:
            try:
                yield context, platform, runner
            finally:
                runner.run(platform.close())

    def keep(self, folder: Path) -> str:
        """Copies a round's folder to where whoever has the storage finds it; that URL."""
        url = f"{self._place.storage}/runs/{self._plan.chain}/round-{self._plan.round}"
        if isinstance(self._place, ClusterConfig):
            copy_round(folder, url)
            for line in hand_on(self._place, url):
                log.info("%s", line)
            return url
        shutil.copytree(folder, url, dirs_exist_ok=True)
        return url

    def _until(
        self,
        stage: str,
        context: Context,
        platform: RunPlatform,
        runner: asyncio.Runner,
        hold: Callable[[str], None],
    ) -> RoundRefs[str] | str:
        plan, recipe = self._plan, context.recipe
        start = self._chain.model_before(plan.round)
        before, spent = start or "", dict[str, Spent]()
        made: dict[str, str] = {}

        def do(step: str, split: str = "", of: str = "", /, **refs: str) -> str:
            ref = runner.run(platform.watched(run_step(context, step, split=split, **refs)))
            hold(ref)
            spent[ref] = spent_on(context.manifest(ref))
            made.setdefault(step, ref)
            return ref

        def last(decision: str, rows: str) -> bool:
            gate = context.manifest(decision)
            promoted = bool(gate.stats["promoted"])
            spent.update(kept_spent(context, gate))
            seen = round_seen(context, gate, context.manifest(rows), promoted, spent)
            model = made["train"] if promoted else before or made["load_model"]
            record = self._chain.decided(plan.config, seen, plan.round, model, spent)
            log.info("round %d: %s", plan.round, record.last or "another one follows")
            return bool(record.last)

        return play_until(
            stage,
            do,
            start=start,
            last=last,
            control=plan.config.control,
            own_writer=recipe.own_writer,
            on_train=recipe.on_train,
        )


class LoggedProgress:
    """Logs (step, done, total, note) every few seconds, and when a step is through."""

    def __init__(self) -> None:
        self._logged_at = 0.0

    def __call__(self, step: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if done == total or now - self._logged_at > LINE_EVERY_S:
            self._logged_at = now
            log.info("%s: %d/%d %s", step, done, total, note)
