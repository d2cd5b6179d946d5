"""A cluster: services that its chart started, trainings as jobs of pods, storage between them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TypeVar

from roundsmith.clients import ROUNDS, Services, connect
from roundsmith.errors import ConfigError, PlatformError, StoreError
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.inference_service import InferenceService
from roundsmith.platform.kubernetes_api import Json, KubernetesApi
from roundsmith.platform.owners import owners_of
from roundsmith.platform.training_job import Asked
from roundsmith.platform.training_kinds import find_kind
from roundsmith.platform.training_pods import remove, run_in_pods
from roundsmith.recipes.stage import Stage
from roundsmith.steps.config import SIZES, RunConfig
from roundsmith.store import FolderRef, Store, shard_step
from roundsmith.tracing import traceparent
from roundsmith.training.area import TrainingArea
from roundsmith.training.job import Rollouts
from roundsmith.training.policies import Policies
from roundsmith.training.progress import Progress
from roundsmith.training.request import StoredResult, StoredTraining, TrainingArithmetic
from roundsmith.training.schedule import micro_batch

T = TypeVar("T")
log = logging.getLogger(__name__)


def on_cluster(config: RunConfig, cluster: ClusterConfig, stages: Sequence[Stage]) -> RunConfig:
    """The settings of a run as the cluster's services were started.

    Raises ConfigError for a training stage that its processes can not share, or whose generator
    would be stopped.
    """
    on = cluster.training
    for stage in stages:
        micro_batch(stage.batch_size, on.replicas * on.processes, stage.micro_batch_size)
        if stage.objective == "grpo" and cluster.generator.stopped_while_training:
            raise ConfigError(
                "grpo: expected a generator that runs beside the training, which samples from it, "
                "saw training.stopsGenerator: give them a node each, and switch it off"
            )
    return config.model_copy(update={"services": cluster.services})


class ClusterPlatform:
    """Runs the steps of one process against a cluster; nothing is started here but trainings.

    `owners` are the references of what trainings end with, such as the Job of this run; `run` is
    what they are labelled with, where a run ends them itself, and `pod` the uid of its pod, with
    whose owner they go.
    """

    def __init__(
        self, cluster: ClusterConfig, owners: Sequence[Json] = (), run: str = "", pod: str = ""
    ) -> None:
        self._cluster, self._owners, self._run, self._pod = cluster, owners, run, pod
        self._stack = AsyncExitStack()
        self._services: Services | None = None
        self._retries = 0

    @property
    def retries(self) -> int:
        """Items that were sent to a service more than once."""
        return self._retries + (self._services.retries if self._services else 0)

    @property
    def cpu_s(self) -> float | None:
        """Not seen from here: the cluster's own metrics have it."""
        return None

    @property
    def arithmetic(self) -> Mapping[str, str | int]:
        """What the services were started with, and from which images."""
        started = self._cluster.services.model_dump(mode="json", exclude=set(SIZES))
        images = self._cluster.model_images
        return started | ({"images": images} if images else {})

    @property
    def judge(self) -> str:
        """Not known before the executor is asked, whose pods may change; each outcome names it."""
        return ""

    @property
    def training_arithmetic(self) -> TrainingArithmetic:
        """What the pods of a training are started with, and from which image."""
        on = self._cluster.training
        return TrainingArithmetic(
            device=on.device,
            threads=on.threads,
            processes=on.replicas * on.processes,
            image=self._cluster.training_image,
        )

    def gpus(self, step: str) -> int:
        """Those of the scorer's pods for scoring, else of the generator's."""
        held = self._cluster.gpus
        return held.scorer if step in ("score", shard_step("score")) else held.generator

    async def weights_uri(self, store: Store, folder: FolderRef) -> str:
        """Where a stored model lies as a plain folder, which storage copies by itself."""
        url = f"{self._cluster.storage}/checkpoints/{folder.weights_sha256}"
        return await asyncio.to_thread(store.publish_folder, folder, url)

    async def services(self, uri: str) -> Services:
        """Clients of the cluster's services; they serve some model already."""
        if self._services is None:
            await self._start_generator()  # a run that was killed in a training left it stopped
            patient = replace(ROUNDS, give_up_s=self._cluster.patience_s)
            clients = connect(self._cluster.endpoints, patient)
            self._services = await self._stack.enter_async_context(clients)
        return self._services

    async def train(
        self, request: StoredTraining, on_progress: Callable[[Progress], None]
    ) -> StoredResult:
        """Trains in pods, which find the request in the storage root. What they have kept there
        counts, not what their job says.
        """
        area = TrainingArea(f"{self._cluster.storage}/training/{request.name}")
        api = await asyncio.to_thread(KubernetesApi, self._cluster.namespace)
        kind = await asyncio.to_thread(find_kind, api, self._cluster.training.job)
        rolls_out = request.stage.objective == "grpo"
        owners = self._owners
        if self._pod:
            owners = await asyncio.to_thread(owners_of, api, self._pod)
        asked = Asked(self._cluster, area.request_uri, owners, self._run, rolls_out)
        seen = await asyncio.to_thread(area.result)
        if (done := await asyncio.to_thread(finished, area, request)) is not None:
            # Of a run that was killed after the last step.
            await asyncio.to_thread(remove, api, kind, asked)
            return done
        await asyncio.to_thread(area.begin, self._placed(request), seen)
        generator = self._stopped_generator(api)
        try:
            if generator is not None:
                await self._leave_services()  # what comes back has other addresses
                await asyncio.to_thread(generator.stop, self._run)
            await run_in_pods(api, kind, asked, area, on_progress)
        finally:
            if generator is not None:
                await asyncio.to_thread(generator.start)
        if (done := await asyncio.to_thread(finished, area, request)) is None:
            raise PlatformError(
                f"{kind.title} {asked.name}: expected a model in {area.url} that "
                f"{request.arithmetic.processes} processes trained to the end, saw none although "
                "it succeeded: use the image of this release for trainings, and run again"
            )
        return done

    def _placed(self, request: StoredTraining) -> StoredTraining:
        """The request with what the pods have to know of this cluster."""
        on = self._cluster
        if request.stage.objective == "grpo":  # a step of it is long, and keeps its own count
            where = Rollouts(
                endpoints=on.endpoints,
                policies=self._policies(request.name),
                patience_s=on.patience_s,
                traceparent=traceparent(),
            )
            return request.model_copy(update={"rollouts": where})
        every = {"checkpoint_every_steps": on.training.checkpoint_every_steps}
        return request.model_copy(update=every)

    async def committed(self, name: str) -> None:
        """Leaves what pods have kept in the storage root, where a finished training is found, but
        for the weights that it sampled from.
        """
        await asyncio.to_thread(lambda: Policies(self._policies(name)).keep_only(""))

    def _policies(self, name: str) -> str:
        return f"{self._cluster.storage}/checkpoints/rollouts-{name[:24]}"

    def _stopped_generator(self, api: KubernetesApi) -> InferenceService | None:
        """The generator, where trainings get its node."""
        generator = self._cluster.generator
        if not generator.stopped_while_training:
            return None
        return InferenceService(api, generator.inference_service)

    async def _start_generator(self) -> None:
        if self._cluster.generator.stopped_while_training:
            api = await asyncio.to_thread(KubernetesApi, self._cluster.namespace)
            if (generator := self._stopped_generator(api)) is not None:
                await asyncio.to_thread(generator.start)

    async def watched(self, work: Awaitable[T]) -> T:
        """The result of `work`: the cluster watches over its services itself."""
        return await work

    async def close(self) -> None:
        """Leaves the services alone."""
        await self._leave_services()

    async def _leave_services(self) -> None:
        self._retries, self._services = self.retries, None
        await self._stack.aclose()


def finished(area: TrainingArea, request: StoredTraining) -> StoredResult | None:
    """What the pods have kept, if it is whole, what was asked for, and the work of all of them."""
    done = area.result()
    if done is None:
        return None
    try:
        stored = Store(request.store).folder(done.folder.object)
    except StoreError as error:
        log.warning("%s: the trained model is not there any more: %s", area.url, error)
        return None
    asked = request.steps
    if done.processes != request.arithmetic.processes:
        return None  # a master that met nobody trains, too
    if stored != done.folder or stored.weights_sha256 != done.result.weights_sha256:
        return None
    return done if not asked or done.result.steps == asked else None
