"""What every step is given, and how its work is named, committed and found again."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from roundsmith.clients import Services
from roundsmith.errors import StoreError
from roundsmith.hashing import file_sha256
from roundsmith.pair_builder.rules import configure, find_rule, load_rules
from roundsmith.recipes.contract import Recipe
from roundsmith.recipes.session import Session
from roundsmith.recipes.styles import Demonstration, style_of
from roundsmith.steps.code_version import code_version
from roundsmith.steps.config import RunConfig
from roundsmith.steps.share import Share
from roundsmith.steps.slow_start import slow_start
from roundsmith.steps.spent import Spent
from roundsmith.store import (
    BITWISE,
    DISTRIBUTION,
    FolderRef,
    Manifest,
    ObjectRef,
    Store,
    step_key,
)
from roundsmith.training.progress import Progress as TrainingProgress
from roundsmith.training.request import StoredResult, StoredTraining, TrainingArithmetic
from roundsmith.types import Task

Progress = Callable[[str, int, int, str], None]
"""Told (step, done, total, note) as work goes on."""
FOUND = "found"
"""The note on work that was found, not made."""


class Platform(Protocol):
    """Where services and training run; the steps do not know more."""

    @property
    def retries(self) -> int:
        """Items that were sent to a service more than once."""

    @property
    def cpu_s(self) -> float | None:
        """CPU seconds that this process and what it started have used; None where the platform
        does not see all of them.
        """

    @property
    def arithmetic(self) -> Mapping[str, str | int]:
        """What a served model's numbers depend on beside its weights; in the key of what they made.

        Words that another machine reads otherwise are told as what they mean where the services
        run, so that a run that is moved does not mix the samples of two.
        """

    @property
    def judge(self) -> str:
        """The interpreter and sandbox that programs are run in, where that is known before any is;
        in the key of what was judged there.
        """

    @property
    def training_arithmetic(self) -> TrainingArithmetic:
        """The same of a training."""

    def gpus(self, step: str) -> int:
        """How many GPUs the service with the weights of a step holds, where it runs on any; in no
        key.
        """

    async def weights_uri(self, store: Store, folder: FolderRef) -> str:
        """Where the services find a stored model: what `reload` is given."""

    async def services(self, uri: str) -> Services:
        """Clients of running services; `uri` is what a service without weights starts with."""

    async def train(
        self, request: StoredTraining, on_progress: Callable[[TrainingProgress], None]
    ) -> StoredResult:
        """Runs a training to its end, or goes on with one that was asked for before."""

    async def committed(self, name: str) -> None:
        """Lets go of what the training of this name left, now that its checkpoint is committed."""


@dataclass(frozen=True)
class Made:
    """What a step made: objects, counts that belong to the result, and what it cost."""

    objects: Sequence[ObjectRef] = ()
    stats: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    earlier: Mapping[str, float] = field(default_factory=dict)
    """What was spent on it before it was stopped: `seconds`, `cpu_s` and `retries`."""


@dataclass(frozen=True, slots=True)
class Work:
    """What names one piece of work; `parents` are the hashes of the manifests that it rests on."""

    step: str
    version: int
    config: Mapping[str, Any]
    parents: tuple[str, ...]
    shard: str | int = 0
    """The hash of a shard's items; 0 for a whole."""

    @property
    def key(self) -> str:
        """Its name among the finished work of the step."""
        return step_key(self.step, self.version, self.config, self.parents, self.shard)


Parts = Callable[[], Iterable[Work]]


def no_parts() -> Iterable[Work]:
    """The shards of work that is done in one piece."""
    return ()


@dataclass(frozen=True)
class Context:
    """One round of a run. A manifest is named by its reference `step/key` wherever steps meet."""

    store: Store
    config: RunConfig
    round: int
    platform: Platform
    progress: Progress
    estimate: Spent | None = None
    """What the round was expected to take when it began; see `plan`."""

    @cached_property
    def recipe(self) -> Recipe:
        """The run's recipe with its settings."""
        rules = load_rules(self.config.recipes)
        name = self.config.recipe
        recipe = configure(find_rule(rules, name), name, self.config.recipe_config)
        assert isinstance(recipe, Recipe)
        return recipe

    @property
    def choices(self) -> dict[str, Any]:
        """The recipe's settings but those of training, which sampling and selection do not read."""
        choices: dict[str, Any] = self.recipe.config.model_dump(mode="json", exclude={"training"})
        return choices

    def recipe_key(self, without: Set[str] = frozenset()) -> dict[str, Any]:
        """What names the recipe in the key of what it drew and chose, `without` the settings that
        this part of it does not read. Its source file too, so that an edited recipe is not answered
        by what it did before; other modules that the file imports are not looked at.
        """
        source = inspect.getsourcefile(type(self.recipe))
        assert source is not None, f"the recipe {self.recipe.name} has no source file"
        return {
            "recipe": self.recipe.name,
            "source": file_sha256(Path(source)),
            "config": {k: v for k, v in self.choices.items() if k not in without},
        }

    def manifest(self, ref: str) -> Manifest:
        """The manifest of a reference that a step returned; StoreError when it is gone."""
        found = self.store.find(*ref.split("/"))
        if found is None:
            raise StoreError(
                f"{ref}: expected finished work that this run rests on, saw that it is gone from "
                "the store or not whole there: see that nothing else removes from the store, such "
                "as `store gc`, and run again, what is gone is made anew"
            )
        return found

    async def once(
        self,
        step: str,
        version: int,
        config: Mapping[str, Any],
        parents: Sequence[Manifest],
        make: Callable[[], Awaitable[Made]],
        parts: Parts = no_parts,
    ) -> Manifest:
        """The step's manifest: the committed one, or what `make` makes, committed. `parts` names
        the shards that it would make it of.
        """
        work = Work(step, version, config, tuple(parent.hash for parent in parents))
        return await self.finished(work, make, parts)

    async def finished(
        self, work: Work, make: Callable[[], Awaitable[Made]], parts: Parts = no_parts
    ) -> Manifest:
        """The manifest of a piece of work, found or made."""
        found = await asyncio.to_thread(self.store.find, work.step, work.key)
        return await self.undone(work, make, parts) if found is None else found

    async def undone(
        self, work: Work, make: Callable[[], Awaitable[Made]], parts: Parts
    ) -> Manifest:
        """Does work that the store does not hold, and commits it."""
        share = Share(self.platform)
        made = await make()
        manifest = Manifest(
            step=work.step,
            key=work.key,
            objects=tuple(made.objects),
            parents=work.parents,
            config=dict(work.config),
            stats=dict(made.stats),
            code_version=code_version(),
            cost=self._cost(work, share.taken(), made),
            reproducible=reproducible(work.config),
        )
        return await asyncio.to_thread(self.store.commit, manifest)

    def _cost(self, work: Work, took: Mapping[str, float], made: Made) -> dict[str, Any]:
        """What work took since it began, and what was spent on parts of it before."""
        spent = {name: value + made.earlier.get(name, 0) for name, value in took.items()}
        arithmetic, gpus = work.config.get("arithmetic", {}), 0
        if arithmetic.get("device") == "cuda":
            # A training names its processes, one a GPU; the pods of a service change no result.
            gpus = arithmetic.get("processes") or self.platform.gpus(work.step)
        spent["gpu_s"] = spent["seconds"] * gpus
        return {name: round(value, 3) for name, value in spent.items()} | dict(made.cost)

    async def services(self, model: Manifest) -> Services:
        """Running services, whatever weights they serve; `model` is what they start with."""
        return await self._running(await self._uri(model))

    async def serving(self, model: Manifest, *, score: bool = False) -> Services:
        """Services that serve the model's weights: the generator, or the scorer with `score`."""
        uri = await self._uri(model)
        services = await self._running(uri)
        client = services.scorer if score else services.generator
        await client.reload(uri, model.stats["weights_sha256"])
        return services

    async def _running(self, uri: str) -> Services:
        async with slow_start(self.progress, "start services"):
            return await self.platform.services(uri)

    def stored(self, model: Manifest) -> FolderRef:
        """The stored folder of a model or checkpoint manifest."""
        return self.store.folder(model.of_kind("folder")[0])

    async def _uri(self, model: Manifest) -> str:
        ref = await asyncio.to_thread(self.stored, model)
        return await self.platform.weights_uri(self.store, ref)

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


def reproducible(config: Mapping[str, Any]) -> str:
    """Whether work of these settings gives the same bytes when it is done again: `bitwise` for what
    computes no model's numbers, or does so by our own engine on a CPU with fixed slots and threads;
    a training on rewards samples, too.
    """
    exact = all(
        arithmetic.get("device", "cpu") == "cpu"
        and arithmetic.get("engine", "transformers") == "transformers"
        for arithmetic in (config.get("arithmetic", {}), config.get("rollouts", {}))
    )
    return BITWISE if exact else DISTRIBUTION


def reference(manifest: Manifest) -> str:
    """What a step returns of the work that it finished."""
    return manifest.reference
