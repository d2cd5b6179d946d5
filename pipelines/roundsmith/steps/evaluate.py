"""Evaluation: samples of every task of a split, judged on all tests; what pass@k is counted
from.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from roundsmith.statistics import Evaluation, TaskCount
from roundsmith.steps.context import Context, reference
from roundsmith.steps.inputs import tasks_of
from roundsmith.steps.shards import sharded
from roundsmith.store import EVALS, EvalRecord, Manifest
from roundsmith.types import Sampling, Split, Task
from roundsmith.verdicts import solved


async def evaluate(ctx: Context, tasks: str, model: str, split: str) -> str:
    """One record for each sample of each task of the split.

    Seeds depend neither on the weights nor on the round, so that two models are compared on the
    same draws, and the same model has the same result in every round.
    """
    task_set, weights = ctx.manifest(tasks), ctx.manifest(model)
    items = tasks_of(ctx, task_set, Split(split))
    how = ctx.config.evaluation
    settings = {
        "split": split,
        "evaluation": how.model_dump(mode="json"),
        "style": ctx.recipe.config.style,
        "cpu_s": ctx.recipe.config.cpu_s,
        "seed": ctx.config.seed,
        "arithmetic": dict(ctx.platform.arithmetic),
    }

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[EvalRecord]]]]:
        services = await ctx.serving(weights)
        session = await ctx.session(services, weights, "evaluate", round=0)
        sampling = Sampling(
            how.max_tokens, how.temperature, how.top_p, stop=session.style.code_stops
        )

        async def work(task: Task) -> list[EvalRecord]:
            codes = await session.write_codes(
                task, task.description, sampling, step=0, n=how.samples
            )
            outcomes = await session.verify(task, codes)
            records = []
            for code in codes:
                seen = [o for o in outcomes if o.code_id == code.sample_id]
                records.append(
                    EvalRecord(
                        task_id=task.task_id,
                        split=task.split,
                        sample_id=code.sample_id,
                        index=code.index,
                        solved=solved(seen),
                        verdicts=tuple(outcome.verdict for outcome in seen),
                        text=code.text,
                        prompt_tokens=code.prompt_tokens,
                        tokens=code.token_count,
                    )
                )
            return records

        yield work

    parents = (task_set, weights)
    label = f"evaluate {split}"
    made = await sharded(ctx, "evaluate", 1, settings, parents, EVALS, items, begin, _count, label)
    return reference(made)


def evaluation_of(ctx: Context, manifest: Manifest) -> Evaluation:
    """The counts of an evaluation's manifest, ready for pass@k and the gate."""
    drawn: dict[str, int] = {}
    correct: dict[str, int] = {}
    for record in ctx.store.read_all(EVALS, manifest):
        drawn[record.task_id] = drawn.get(record.task_id, 0) + 1
        correct[record.task_id] = correct.get(record.task_id, 0) + record.solved
    counts = tuple(TaskCount(task_id, drawn[task_id], correct[task_id]) for task_id in drawn)
    return Evaluation(counts, manifest.config["evaluation"]["samples"])


def _count(records: Sequence[EvalRecord]) -> dict[str, int]:
    return {
        "tasks": len({record.task_id for record in records}),
        "samples": len(records),
        "solved": sum(record.solved for record in records),
        "prompt_tokens": sum(record.prompt_tokens for record in records),
        "sampled_tokens": sum(record.tokens for record in records),
        "executions": sum(len(record.verdicts) for record in records),
    }
