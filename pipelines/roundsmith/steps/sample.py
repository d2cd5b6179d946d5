"""Sampling and scoring: the recipe decides what is drawn, run and scored; the steps keep it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import islice

from roundsmith.errors import TooLong
from roundsmith.hashing import content_hash
from roundsmith.recipes.contract import Recipe
from roundsmith.steps.context import Context, reference
from roundsmith.steps.inputs import num_tasks, tasks_of
from roundsmith.steps.shards import Job, sharded
from roundsmith.store import GROUPS, TASKS
from roundsmith.types import Group, Kind, Sample, Score, Split, Task

DEMONSTRATIONS = 1000
"""Tasks whose references are shown to describe others' code: of more, the first so many."""


async def sample(ctx: Context, tasks: str, model: str) -> str:
    """One group for each training task, drawn and run as the recipe says."""
    task_set, weights = ctx.manifest(tasks), ctx.manifest(model)
    settings = {
        **ctx.recipe_key(ctx.recipe.scoring | ctx.recipe.selecting),
        "seed": ctx.config.seed,
        "round": ctx.round,
        "arithmetic": dict(ctx.platform.arithmetic),
        "judge": ctx.platform.judge,
    }

    def shown() -> list[Task]:
        many = DEMONSTRATIONS if ctx.recipe.demonstrates else 0
        return list(islice(tasks_of(ctx, task_set, Split.TRAIN), many))

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[Group]]]]:
        services = await ctx.serving(weights)
        session = await ctx.session(services, weights, ctx.recipe.name, ctx.round, shown())

        async def work(task: Task) -> list[Group]:
            return [await ctx.recipe.sample(task, session)]

        yield work

    job = Job(
        "sample",
        18,
        settings,
        task_set,
        (weights,),
        TASKS,
        GROUPS,
        lambda: tasks_of(ctx, task_set, Split.TRAIN),
        num_tasks(task_set, Split.TRAIN),
        begin,
        lambda groups: _count(groups, ctx.recipe),
        seen=lambda: _shown_as(shown()),
    )
    return reference(await sharded(ctx, job))


async def score(ctx: Context, groups: str, model: str) -> str:
    """The groups with the perplexities that the recipe's choice needs, under the model's weights.

    A sample that does not fit the model's context with its prompt gets none, and is counted.
    """
    drawn, weights = ctx.manifest(groups), ctx.manifest(model)
    key = ctx.recipe_key(ctx.recipe.selecting)
    settings = {**key, "arithmetic": dict(ctx.platform.arithmetic)}

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Group], Awaitable[list[Group]]]]:
        services = await ctx.serving(weights, score=True)

        async def one(sample: Sample, group: Group) -> Score | None:
            item = ctx.recipe.question(sample, group)
            try:
                return await services.scorer.score(item, sample.provenance.weights_sha256)
            except TooLong:
                return None

        async def work(group: Group) -> list[Group]:
            samples = ctx.recipe.to_score(group)
            found = await asyncio.gather(*(one(sample, group) for sample in samples))
            scores = {s.sample_id: score for s, score in zip(samples, found, strict=True) if score}
            return [replace(group, scores=scores)]

        yield work

    job = Job(
        "score",
        5,
        settings,
        drawn,
        (weights,),
        GROUPS,
        GROUPS,
        lambda: ctx.store.read_all(GROUPS, drawn),
        drawn.rows,
        begin,
        lambda groups: _count_scored(groups, ctx.recipe),
    )
    return reference(await sharded(ctx, job))


def _shown_as(tasks: Sequence[Task]) -> dict[str, str]:
    """What names the demonstrations of a session, where there are any."""
    shown = [[task.reference, task.description] for task in tasks if task.reference is not None]
    return {"demonstrations": content_hash(shown)} if shown else {}


def _count(groups: Sequence[Group], recipe: Recipe) -> dict[str, int]:
    """What was drawn, for the funnel and the ledger."""
    samples = [sample for group in groups for sample in group.samples]
    codes = [sample for sample in samples if sample.kind is Kind.CODE]
    counts = {
        "tasks": len(groups),
        "samples": len(samples),
        "codes": len(codes),
        "passing": sum(len(group.passing()) for group in groups),
        "tests": sum(sample.kind is Kind.TEST for sample in samples),
        "tasks_with_passing": sum(bool(group.passing()) for group in groups),
        "prompt_tokens": sum(map(_prompt_tokens, groups)),
        "sampled_tokens": sum(sample.token_count for sample in samples),
        "executions": sum(len(group.outcomes) for group in groups),
    }
    if measuring := sum(map(recipe.measuring, groups)):
        counts["measuring_executions"] = measuring  # of them
    for group in groups:
        for outcome in group.outcomes:
            name = f"verdict_{outcome.verdict}"
            counts[name] = counts.get(name, 0) + 1
    return counts


def _prompt_tokens(group: Group) -> int:
    """Of the prompts that were given; those that are drawn together are drawn from one."""
    once = {(sample.step, sample.prompt): sample.prompt_tokens for sample in group.samples}
    return sum(once.values())


def _count_scored(groups: Sequence[Group], recipe: Recipe) -> dict[str, int]:
    scores = [score for group in groups for score in group.scores.values()]
    return {
        "scored": len(scores),
        "too_long_to_score": sum(len(recipe.to_score(group)) for group in groups) - len(scores),
        "scored_tokens": sum(score.scored_tokens for score in scores),
    }
