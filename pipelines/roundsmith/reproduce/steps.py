"""The steps of a comparison, run or planned: what was asked for once in a process is not looked up
again.
"""

import json
from collections.abc import Callable
from dataclasses import replace

from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context
from roundsmith.steps.plan import TO_DO, Plan, PlannedContext, PlannedStep
from roundsmith.store import Manifest

NAMED = ("load_tasks", "sample", "score", "select", "corpus")
"""Steps that ask which recipe it is."""
JUDGED = ("evaluate", "corpus")
"""Steps that read a recipe's style and limits, whichever it is."""
Run = Callable[[Context, str, dict[str, str]], str]
"""Runs a step of a context on references."""


class DoneSteps:
    """Runs steps, each with the settings of its arm, and keeps their references."""

    def __init__(self, context: Context, run: Run) -> None:
        self._context, self._run = context, run
        self._made: dict[str, str] = {}
        self._contexts: dict[str, Context] = {}

    def do(
        self, config: RunConfig, round: int, step: str, split: str, of: str, /, **refs: str
    ) -> str:
        """The reference of what a step made, now or before."""
        context = self.context(config, round)
        asked = _asked(context, step, split, refs)
        if asked not in self._made:
            self._made[asked] = self._run(
                replace(context, progress=_named(context, of)), step, {**refs, "split": split}
            )
        return self._made[asked]

    def manifest(self, ref: str) -> Manifest:
        """What a step committed."""
        return self._context.manifest(ref)

    def tokens(self, refs: tuple[str, ...]) -> int | None:
        """Sampled and scored tokens."""
        return sum(tokens_of(self.manifest(ref)) for ref in refs)

    def context(self, config: RunConfig, round: int = 1) -> Context:
        """The context of a round of a run with these settings."""
        name = f"{round} {config.model_dump_json()}"
        if name not in self._contexts:
            self._contexts[name] = replace(self._context, config=config, round=round)
        return self._contexts[name]


class PlannedSteps:
    """Looks steps up, and keeps what would be done of them."""

    def __init__(self, plan: Plan, run: Callable[[Plan, str, str, str, dict[str, str]], str]):
        self._plan, self._run = plan, run
        self._made: dict[str, str] = {}

    @property
    def steps(self) -> list[PlannedStep]:
        """What was asked for so far."""
        return self._plan.steps

    def do(
        self, config: RunConfig, round: int, step: str, split: str, of: str, /, **refs: str
    ) -> str:
        """The reference of what is there, or one that begins with TO_DO."""
        context = replace(self._plan.context, config=config, round=round)
        assert isinstance(context, PlannedContext)
        self._plan.context = context
        asked = _asked(context, step, split, refs)
        if asked not in self._made:
            self._made[asked] = self._run(self._plan, step, split, of, refs)
        return self._made[asked]

    def tokens(self, refs: tuple[str, ...]) -> int | None:
        """None for what is not drawn yet."""
        if any(ref.startswith(TO_DO) for ref in refs):
            return None
        return sum(tokens_of(self._plan.context.manifest(ref)) for ref in refs)


def tokens_of(manifest: Manifest) -> int:
    """Sampled and scored tokens of a step."""
    stats = manifest.stats
    return int(stats.get("sampled_tokens", 0)) + int(stats.get("scored_tokens", 0))


def executions_of(manifest: Manifest) -> int:
    """Executions of a step, without those that only measure a choice."""
    stats = manifest.stats
    return int(stats.get("executions", 0)) - int(stats.get("measuring_executions", 0))


def _asked(context: Context, step: str, split: str, refs: dict[str, str]) -> str:
    """What names a piece of work: the settings that it reads, and its inputs."""
    config, recipe = context.config, context.recipe
    unread = {
        "sample": recipe.scoring | recipe.selecting,
        "score": recipe.selecting,
        "select": frozenset[str](),
    }
    read = {
        "recipe": recipe.name if step in NAMED else "",
        "choices": context.recipe_key(unread[step])["config"] if step in unread else {},
        "training": [s.model_dump(mode="json") for s in recipe.stages()] if step == "train" else [],
        "writer": [s.model_dump(mode="json") for s in recipe.writer_stages()]
        if step == "writer"
        else [],
        "run": config.model_dump(mode="json", exclude={"recipe", "recipe_config"}),
        "judged": [recipe.config.style, recipe.config.cpu_s] if step in JUDGED else [],
        "round": context.round,
    }
    return json.dumps([step, split, read, sorted(refs.items())], sort_keys=True)


def _named(context: Context, of: str) -> Callable[[str, int, int, str], None]:
    told, seed = context.progress, context.config.seed

    def progress(step: str, done: int, total: int, note: str) -> None:
        told(f"{step} ({of}, seed {seed})" if of else step, done, total, note)

    return progress
