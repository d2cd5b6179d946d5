"""What every step is given, and how its work is named, committed and found again."""

import asyncio
import importlib.metadata
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from roundsmith.clients import Services
from roundsmith.config import cpu_count, has_bfloat16_units
from roundsmith.hashing import file_sha256
from roundsmith.pair_builder.rules import configure, find_rule, load_rules
from roundsmith.recipes.contract import Recipe
from roundsmith.recipes.session import Session
from roundsmith.recipes.styles import Demonstration, style_of
from roundsmith.steps.config import RunConfig
from roundsmith.store import FolderRef, Manifest, ObjectRef, Store, step_key
from roundsmith.training.job import TrainingJob
from roundsmith.training.progress import Progress as TrainingProgress
from roundsmith.training.result import TrainingResult
from roundsmith.types import Task

Progress = Callable[[str, int, int, str], None]
"""Told (step, done, total, note) as work goes on."""


class Platform(Protocol):
    """Where services and training run; the steps do not know more."""

    @property
    def retries(self) -> int:
        """Items that were sent to a service more than once."""

    async def services(self, model: Path) -> Services:
        """Clients of running services; `model` is what a service without weights starts with."""

    async def train(
        self, job: TrainingJob, on_progress: Callable[[TrainingProgress], None]
    ) -> TrainingResult:
        """Runs a training job to its end; `job.out/model` is the checkpoint."""


@dataclass(frozen=True)
class Made:
    """What a step made: objects, counts that belong to the result, and what it cost."""

    objects: Sequence[ObjectRef] = ()
    stats: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """One round of a run. A manifest is named by its reference `step/key` wherever steps meet."""

    store: Store
    config: RunConfig
    round: int
    work: Path
    """Local folder for checkpoints and training; everything in it can be made again from the
    store.
    """
    platform: Platform
    progress: Progress

    @cached_property
    def recipe(self) -> Recipe:
        """The run's recipe with its settings."""
        rules = load_rules(self.config.recipes)
        name = self.config.recipe
        recipe = configure(find_rule(rules, name), name, self.config.recipe_config)
        assert isinstance(recipe, Recipe)
        return recipe

    @cached_property
    def arithmetic(self) -> dict[str, str | int]:
        """What a model's numbers depend on beside its weights; in the key of what they made.

        Words that another machine reads otherwise are told as what they mean on this one, so that
        a run that is moved does not mix the samples of two. The type follows from the device, what
        it can do and the weights.
        """
        from roundsmith.models.loading import served_device

        services = self.config.services
        return {
            **services.model_dump(mode="json", exclude={"executor_slots"}),
            "device": served_device(services.device),
            "threads": services.threads or cpu_count(),
            "bfloat16_units": has_bfloat16_units(),
        }

    @property
    def choices(self) -> dict[str, Any]:
        """The recipe's settings but those of training, which sampling and selection do not read."""
        choices: dict[str, Any] = self.recipe.config.model_dump(mode="json", exclude={"training"})
        return choices

    @property
    def recipe_key(self) -> dict[str, Any]:
        """What names the recipe in the key of what it drew and chose: its source file too, so that
        an edited recipe is not answered by what it did before. Other modules that the file imports
        are not looked at.
        """
        source = inspect.getsourcefile(type(self.recipe))
        assert source is not None, f"the recipe {self.recipe.name} has no source file"
        return {
            "recipe": self.recipe.name,
            "source": file_sha256(Path(source)),
            "config": self.choices,
        }

    def manifest(self, ref: str) -> Manifest:
        """The manifest of a reference that a step returned."""
        found = self.store.find(*ref.split("/"))
        assert found is not None, f"{ref} was committed and is gone"
        return found

    async def once(
        self,
        step: str,
        version: int,
        config: Mapping[str, Any],
        parents: Sequence[Manifest],
        make: Callable[[], Awaitable[Made]],
        shard: int = 0,
    ) -> Manifest:
        """The step's manifest: the committed one, or what `make` makes, committed."""
        hashes = tuple(parent.hash for parent in parents)
        key = step_key(step, version, config, hashes, shard)
        if (found := await asyncio.to_thread(self.store.find, step, key)) is not None:
            return found
        started = time.monotonic()
        made = await make()
        manifest = Manifest(
            step=step,
            key=key,
            objects=tuple(made.objects),
            parents=hashes,
            config=dict(config),
            stats=dict(made.stats),
            code_version=importlib.metadata.version("roundsmith"),
            cost={"seconds": round(time.monotonic() - started, 3), **made.cost},
        )
        return await asyncio.to_thread(self.store.commit, manifest)

    async def folder(self, model: Manifest) -> Path:
        """The local folder of a model or checkpoint manifest."""
        ref = self.store.folder(model.of_kind("folder")[0])
        target = self.work / "checkpoints" / ref.weights_sha256
        target.parent.mkdir(parents=True, exist_ok=True)
        return await asyncio.to_thread(self._fetch, ref, target)

    def _fetch(self, ref: FolderRef, target: Path) -> Path:
        return self.store.fetch_folder(ref, target)

    async def serving(self, model: Manifest, *, score: bool = False) -> Services:
        """Services that serve the model's weights: the generator, or the scorer with `score`."""
        folder = await self.folder(model)
        services = await self.platform.services(folder)
        client = services.scorer if score else services.generator
        await client.reload(str(folder), model.stats["weights_sha256"])
        return services

    async def session(
        self,
        services: Services,
        model: Manifest,
        recipe: str,
        round: int,
        demonstrations: Sequence[Task] = (),
    ) -> Session:
        """A session on the weights of `model`; `round` is part of every seed."""
        served = await services.generator.model()
        return Session(
            services=services,
            style=style_of(self.recipe.config.style, served.has_chat_template),
            recipe=recipe,
            round=round,
            seed=self.config.seed,
            weights_sha256=model.stats["weights_sha256"],
            demonstrations=[
                Demonstration(task.reference, task.description)
                for task in demonstrations
                if task.reference is not None
            ],
            limits=self.recipe.limits,
        )


def reference(manifest: Manifest) -> str:
    """How one step tells another of its manifest: `step/key`."""
    return f"{manifest.step}/{manifest.key}"
