"""One machine: services as child processes, training as another; started when first needed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from roundsmith.clients import Endpoints, Services, connect
from roundsmith.platform.processes import ServiceProcesses, endpoints
from roundsmith.steps.config import RunConfig
from roundsmith.training.job import TrainingJob
from roundsmith.training.launch import launch
from roundsmith.training.progress import Progress
from roundsmith.training.result import TrainingResult

T = TypeVar("T")
_WATCH_S = 0.5


def service_commands(
    config: RunConfig, model: Path, storage_root: Path
) -> dict[str, Sequence[str]]:
    """The arguments of `roundsmith serve NAME` for a run."""
    sizes = config.services
    with_weights = [
        *("--model", str(model), "--storage-root", str(storage_root)),
        *("--dtype", sizes.dtype, "--device", sizes.device, "--threads", str(sizes.threads)),
    ]
    if config.trust_remote_code:
        with_weights.append("--trust-remote-code")
    recipes = [argument for source in config.recipes for argument in ("--recipes", source)]
    return {
        "generator": [*with_weights, "--slots", str(sizes.generator_slots)],
        "scorer": with_weights,
        "executor": ["--slots", str(sizes.executor_slots)],
        "pair-builder": recipes,
    }


class LocalPlatform:
    """Starts the four services when a step first asks for them, and ends them with the run."""

    def __init__(self, config: RunConfig, work: Path) -> None:
        self._config, self._work = config, work
        self._stack = AsyncExitStack()
        self._processes: ServiceProcesses | None = None
        self._services: Services | None = None
        self._retries = 0
        self.endpoints: Endpoints | None = None

    async def services(self, model: Path) -> Services:
        """Clients of the running services; starts them on `model` the first time."""
        if self._services is None:
            processes = ServiceProcesses(self._work / "services")
            commands = service_commands(self._config, model, self._work / "checkpoints")
            self.endpoints = endpoints(await processes.start(commands))
            self._stack.push_async_callback(processes.stop)
            self._processes = processes
            self._services = await self._stack.enter_async_context(connect(self.endpoints))
        return self._services

    async def train(
        self, job: TrainingJob, on_progress: Callable[[Progress], None]
    ) -> TrainingResult:
        """Trains in a child process. On a GPU the services end before, because their models and the
        training's would share its memory; they start again when they are next asked for.
        """
        if self._processes is not None and on_gpu(self._config.services.device):
            await self.close()
        return await launch(job, on_progress=on_progress)

    async def watched(self, work: Awaitable[T]) -> T:
        """The result of `work`; raises PlatformError as soon as a service has ended by itself."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=_WATCH_S)
                if self._processes is not None and not task.done():
                    self._processes.refuse_dead()
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
        self._retries = self.retries
        self._processes = self._services = None
        await self._stack.aclose()


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

    async def services(self, model: Path) -> Services:
        """Clients of the services at the given endpoints."""
        if self._services is None:
            assert self.endpoints is not None
            self._services = await self._stack.enter_async_context(connect(self.endpoints))
        return self._services
