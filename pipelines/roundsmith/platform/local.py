"""One machine: services as child processes, training as another; started when first needed."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, TypeVar

from roundsmith.children import Start, execute
from roundsmith.clients import ROUNDS, Endpoints, Services, connect
from roundsmith.config import (
    REPEATED_SUMS,
    bits_asked_for,
    cpu_count,
    has_bfloat16_units,
    processor,
    torch_build,
)
from roundsmith.cpu_time import tree_cpu_s
from roundsmith.errors import PlatformError
from roundsmith.models.text import may_succeed
from roundsmith.platform.fetched import Fetched
from roundsmith.platform.forked import ForkServer
from roundsmith.platform.processes import ServiceProcesses, endpoints
from roundsmith.sandbox import boot
from roundsmith.steps.config import SIZES, RunConfig
from roundsmith.store import FolderRef, Store
from roundsmith.tracing import traceparent
from roundsmith.training.job import Rollouts
from roundsmith.training.launch import launch
from roundsmith.training.progress import Progress, ProgressLog, gone_on_with, read_progress
from roundsmith.training.request import StoredResult, StoredTraining, TrainingArithmetic

T = TypeVar("T")
_WATCH_S = 0.5
SERVED = {"MKL_CBWR": REPEATED_SUMS}
"""What the services with weights ask of the arithmetic by themselves."""


def installed(package: str) -> str:
    """The version of a package that is installed here, or nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def service_commands(
    config: RunConfig, model: str, storage_root: Path, records: Path
) -> dict[str, Sequence[str]]:
    """The arguments of `roundsmith serve NAME` for a run; in the folder `records` a service keeps
    which weights it serves, so that one that is started again serves them too.
    """
    sizes = config.services
    with_weights = [
        *("--model", model, "--storage-root", str(storage_root)),
        *("--dtype", sizes.dtype, "--device", sizes.device, "--threads", str(sizes.threads)),
    ]
    if config.trust_remote_code:
        with_weights.append("--trust-remote-code")

    def record(name: str) -> tuple[str, str]:
        return "--weights-record", str(records / f"{name}.weights.json")

    recipes = [argument for source in config.recipes for argument in ("--recipes", source)]
    return {
        "generator": [
            *with_weights,
            *("--engine", sizes.engine, "--slots", str(sizes.generator_slots)),
            *record("generator"),
        ],
        "scorer": [*with_weights, *record("scorer")],
        "executor": ["--slots", str(sizes.executor_slots), "--floor", sizes.executor_floor],
        "pair-builder": recipes,
    }


class LocalPlatform:
    """Starts the four services when a step first asks for them, and ends them with the run."""

    def __init__(self, config: RunConfig, work: Path, otlp_endpoint: str | None = None) -> None:
        """The services send their spans to the endpoint."""
        self._config, self._work = config, work
        self._traces = ["--otlp-endpoint", otlp_endpoint] if otlp_endpoint else []
        self._fetched = Fetched(work / "checkpoints")
        self._stack = AsyncExitStack()
        self._processes: ServiceProcesses | None = None
        self._services: Services | None = None
        self._retries = 0
        self._began_with = Path()
        self._forks = ForkServer()
        self.endpoints: Endpoints | None = None

    @property
    def cpu_s(self) -> float | None:
        """Of this process, its services and its trainings; what sandboxes used counts when they
        have ended.
        """
        return tree_cpu_s()

    @property
    def arithmetic(self) -> Mapping[str, str | int]:
        """The settings of the services as what they mean on this machine. The type follows from the
        device, what it can do and the weights.
        """
        services = self._config.services
        return {
            **services.model_dump(mode="json", exclude=set(SIZES)),
            "device": self._device,
            "threads": services.threads or cpu_count(),
            "bfloat16_units": has_bfloat16_units(),
            **({"processor": processor()} if self._device == "cpu" else {}),
            **{"torch": torch_build(), "transformers": installed("transformers")},
            **({"vllm": installed("vllm")} if services.engine == "vllm" else {}),
            **({"environment": asked} if (asked := bits_asked_for(SERVED)) else {}),
        }

    @property
    def judge(self) -> str:
        """The image that the executor of this machine tells."""
        return boot.image()

    @property
    def training_arithmetic(self) -> TrainingArithmetic:
        """One process with the threads of the services, or all cores."""
        return TrainingArithmetic(
            device=self._device,
            threads=self._config.services.threads or cpu_count(),
            bfloat16_units=has_bfloat16_units(),
            processor=processor() if self._device == "cpu" else None,
            torch=torch_build(),
            transformers=installed("transformers"),
            environment=bits_asked_for({}) or None,
        )

    @property
    def _device(self) -> Literal["cpu", "cuda"]:
        return "cuda" if on_gpu(self._config.services.device) else "cpu"

    def gpus(self, step: str) -> int:
        """One, which the generator and the scorer share."""
        return 1

    async def weights_uri(self, store: Store, folder: FolderRef) -> str:
        """The local folder of a stored model, fetched when it is not there."""
        fetched = await asyncio.to_thread(self._fetched.fetch, store, folder, self._began_with)
        return str(fetched)

    async def services(self, uri: str) -> Services:
        """Clients of the running services; starts them on the model folder `uri` the first time,
        and anew where it has another tokenizer or config: it can not take the other's place.
        """
        if self._services is not None and not await asyncio.to_thread(
            may_succeed, self._began_with, Path(uri)
        ):
            await self._end_services()
        if self._services is None:
            self._began_with = Path(uri)
            folder = self._work / "services"
            for left in folder.glob("*.weights.json"):  # an earlier run's: this one begins with uri
                left.unlink()
            processes = ServiceProcesses(folder, self._start(uri))
            commands = service_commands(self._config, uri, self._work / "checkpoints", folder)
            traced = {name: [*given, *self._traces] for name, given in commands.items()}
            self.endpoints = endpoints(await processes.start(traced))
            self._stack.push_async_callback(processes.stop)
            self._processes = processes
            clients = connect(self.endpoints, ROUNDS)
            self._services = await self._stack.enter_async_context(clients)
        return self._services

    async def train(
        self, request: StoredTraining, on_progress: Callable[[Progress], None]
    ) -> StoredResult:
        """Trains in a child process. On a GPU the services end before, because their models and the
        training's would share its memory; they start again when they are next asked for. For grpo
        they run beside it: it samples and judges with them.
        """
        rolls_out = request.stage.objective == "grpo"
        if self._processes is not None and self._device == "cuda" and not rolls_out:
            await self._end_services()
        out = self._training(request.name)
        job = await asyncio.to_thread(request.fetch, self._fetched.path(request.model), out)
        if rolls_out:
            await self.services(str(job.model))
            assert self.endpoints is not None
            policies, here = str(self._policies(request.name)), traceparent()
            where = Rollouts(endpoints=self.endpoints, policies=policies, traceparent=here)
            job = job.model_copy(update={"rollouts": where})
        start, log = self._start(str(job.model)), ProgressLog(out)
        before = list(read_progress(log.path))
        result = await launch(job, on_progress=on_progress, start=start)
        folder = await asyncio.to_thread(Store(request.store).put_folder, out / "model")
        if folder.weights_sha256 != result.weights_sha256:
            await self.committed(request.name)
            seen, wanted = folder.weights_sha256[:12], result.weights_sha256[:12]
            raise PlatformError(
                f"{out / 'model'}: expected the model {wanted} that the training wrote, saw "
                f"{seen}: it was changed since, and is removed; run again, and it is trained anew"
            )
        lines = list(read_progress(log.path))
        loss = tuple((line.step, line.loss) for line in lines)
        earlier_cpu_s = gone_on_with(before, lines)
        return StoredResult(folder, result, loss, seconds=log.seconds, earlier_cpu_s=earlier_cpu_s)

    async def committed(self, name: str) -> None:
        """Removes the folder of a training, whose model is taken for whole as long as it is in its
        place: so it leaves that at once.
        """
        out = self._training(name)
        leaving = out.with_name(f"{out.name}.removed")

        def remove() -> None:
            shutil.rmtree(leaving, ignore_errors=True)  # a killed run's
            shutil.rmtree(self._policies(name), ignore_errors=True)
            if out.exists():
                out.rename(leaving)
                shutil.rmtree(leaving)

        await asyncio.to_thread(remove)

    def _training(self, name: str) -> Path:
        return self._work / "training" / name[:24]

    def _policies(self, name: str) -> Path:
        return self._work / "checkpoints" / f"rollouts-{name[:24]}"

    async def watched(self, work: Awaitable[T]) -> T:
        """The result of `work`. A service that ends by itself is started again meanwhile; raises
        PlatformError when that happens too often.
        """
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=_WATCH_S)
                if self._processes is not None and not task.done():
                    await self._processes.revive()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    @property
    def retries(self) -> int:
        """Items that were sent to a service more than once."""
        return self._retries + (self._services.retries if self._services else 0)

    async def close(self) -> None:
        """Ends the services; `services` would start them again."""
        await self._end_services()
        await self._forks.close()

    async def _end_services(self) -> None:
        self._retries = self.retries
        self._processes = self._services = None
        await self._stack.aclose()

    def _start(self, model: str) -> Start:
        """How a process with this model starts: forked, unless its engine, its code or a GPU must
        not be touched before it is there, or it has a hub to ask.
        """
        config = self._config
        alone = config.services.engine != "transformers" or config.trust_remote_code
        if alone or self._device != "cpu" or not Path(model).is_dir():
            return execute
        return self._forks.start


def on_gpu(device: str) -> bool:
    """Whether models of this `device` setting run on a GPU of this machine."""
    if device != "auto":
        return device.startswith("cuda")
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/kfd").exists():
        return False  # without a GPU there is no need to import torch here
    import torch

    return torch.cuda.is_available()


class AttachedPlatform(LocalPlatform):
    """Services that somebody else started and ends; training is still a child process."""

    def __init__(self, config: RunConfig, work: Path, where: Endpoints) -> None:
        super().__init__(config, work)
        self.endpoints = where

    @property
    def cpu_s(self) -> float | None:
        """Not seen: the services are another's."""
        return None

    async def services(self, uri: str) -> Services:
        """Clients of the services at the given endpoints."""
        if self._services is None:
            assert self.endpoints is not None
            self._services = await self._stack.enter_async_context(connect(self.endpoints))
        return self._services
