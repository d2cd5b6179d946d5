"""grpo's rollouts: completions from the generator under the policy's weights, and their rewards
from the executor. The trainer holds no second inference engine and runs no program.
"""

import asyncio
import shutil
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from roundsmith import tracing
from roundsmith.benchmarks.scripts import runnable
from roundsmith.clients import ROUNDS, Services, connect
from roundsmith.errors import ConfigError, WeightsMismatch
from roundsmith.hashing import derive_seed
from roundsmith.recipes.resolving import run_cells
from roundsmith.recipes.styles import style_of
from roundsmith.store import TASKS, read_file
from roundsmith.training.folder import JobFolder
from roundsmith.training.merged import save_whole
from roundsmith.training.policies import Policies
from roundsmith.types import (
    Completion,
    GenerateItem,
    Limits,
    Program,
    Sampling,
    Task,
)
from roundsmith.verdicts import reward

T = TypeVar("T")
ATTEMPTS = 3
"""How often a generator is told of weights that a replica of it does not serve."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One completion with its tokens, its reward, which is None where the sandbox failed on it, and
    how many tests were run for that.
    """

    completion: Completion
    reward: float | None
    executions: int = 0


Wanted = tuple[tuple[int, ...], int]
"""The token ids of a prompt, and how many completions are to be drawn of it."""


class Source(Protocol):
    """What grpo draws from."""

    def serve(self, model: Any) -> None:
        """Draw with the weights of this model from now on."""

    def draw(self, prompts: Mapping[str, Wanted], step: int) -> dict[str, list[Rollout]]:
        """The rollouts of each prompt, by its name."""

    def close(self) -> None:
        """Nothing more is drawn."""


class RolloutSource:
    """Draws and rewards completions of tasks, through running services."""

    def __init__(self, folder: JobFolder) -> None:
        job = folder.job
        if job.rollouts is None or not job.tasks:
            raise ConfigError(
                "grpo: expected tasks and running services, saw none: train it by a run, or give "
                "the job `tasks` and `rollouts`"
            )
        self._folder, self._policies = folder, Policies(job.rollouts.policies)
        self._tasks = {task.task_id: task for path in job.tasks for task in read_file(TASKS, path)}
        self._runner, self._trace = asyncio.Runner(), tracing.followed(job.rollouts.traceparent)
        patient = replace(ROUNDS, give_up_s=job.rollouts.patience_s)
        self._connection = connect(job.rollouts.endpoints, patient)
        self._services: Services | None = None
        self._uri = self._served = ""

    def serve(self, model: Any) -> None:
        """Let the generator serve the weights of a model, and forget those that it served before
        for this training.
        """
        partial = self._folder.work / "policy"
        shutil.rmtree(partial, ignore_errors=True)
        save_whole(model, partial)
        sha256 = self._folder.complete(partial)
        self._uri = self._policies.put(partial, sha256)
        self._run(self._reload(sha256))
        self._policies.keep_only(sha256)

    def draw(self, prompts: Mapping[str, Wanted], step: int) -> dict[str, list[Rollout]]:
        """The rollouts of each task, by its id."""
        return self._run(self._draw(prompts, step))

    def close(self) -> None:
        """Ends the calls and the loop."""
        if self._services is not None:
            self._run(self._connection.__aexit__(None, None, None))
            self._services = None
        self._runner.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work, context=self._trace)

    async def _connected(self) -> Services:
        if self._services is None:
            self._services = await self._connection.__aenter__()
        return self._services

    async def _reload(self, sha256: str) -> None:
        services = await self._connected()
        self._served = await services.generator.reload(self._uri, sha256)

    async def _drawn(self, services: Services, item: GenerateItem) -> list[Completion]:
        """The item's completions by the weights of this step; a replica that does not serve them,
        which was started meanwhile, is told of them.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return await services.generator.generate(item, self._served)
            except WeightsMismatch:
                await self._reload(self._served)
        return await services.generator.generate(item, self._served)

    async def _draw(self, prompts: Mapping[str, Wanted], step: int) -> dict[str, list[Rollout]]:
        services = await self._connected()
        chat = (await services.generator.model()).has_chat_template
        stops = style_of("auto", chat).code_stops
        drawn = await asyncio.gather(
            *(self._one(services, name, wanted, stops, step) for name, wanted in prompts.items())
        )
        return dict(zip(prompts, drawn, strict=True))

    async def _one(
        self,
        services: Services,
        name: str,
        wanted: Wanted,
        stops: tuple[str, ...],
        step: int,
    ) -> list[Rollout]:
        job, task = self._folder.job, self._tasks[name]
        sampling = Sampling(job.max_tokens, job.temperature, stop=stops)
        seed = derive_seed(job.seed, "rollout", name, step)
        prompt, number = wanted
        item = GenerateItem(f"{step}/{name}", prompt, sampling, seed, number)
        found = await self._drawn(services, item)
        programs = [
            Program(str(c.index), runnable(task, program_of(task, c.text)), task.setup)
            for c in found
        ]
        rewards = await self._rewards(services, f"{step}/{name}", programs, task)
        return [Rollout(c, *rewards[str(c.index)]) for c in found]

    async def _rewards(
        self, services: Services, item_id: str, programs: Sequence[Program], task: Task
    ) -> dict[str, tuple[float | None, int]]:
        """1 for a program that solves the task, 0 for one that does not, None where the sandbox
        failed on a test every time: that is masked, and never a zero. With it the tests that were
        run for it, without those that the sandbox failed on.
        """
        limits = Limits(cpu_s=self._folder.job.cpu_s)
        found = await run_cells(services, item_id, programs, task, limits, every_test=True)
        cells = {p.code_id: [(p.code_id, test.test_id) for test in task.tests] for p in programs}
        rows = {name: [found[cell] for cell in row if cell in found] for name, row in cells.items()}
        return {
            name: (reward(row) if len(row) == len(task.tests) else None, len(row))
            for name, row in rows.items()
        }


def program_of(task: Task, completion: str) -> str:
    """The program that a completion of a code prompt stands for; its docstring is not needed."""
    return f"{task.head.rstrip()}\n{completion.lstrip(chr(10))}"
