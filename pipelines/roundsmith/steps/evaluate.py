"""Evaluation: samples of every task of a split, judged on all tests; what pass@k is counted
from.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence, Set
from contextlib import asynccontextmanager

from roundsmith.benchmarks.asserted import hidden_first, shown_tests
from roundsmith.benchmarks.verbatim import stops_of
from roundsmith.statistics import Evaluation, TaskCount
from roundsmith.steps.context import Context, reference
from roundsmith.steps.inputs import num_tasks, tasks_of
from roundsmith.steps.shards import Job, sharded
from roundsmith.store import EVALS, TASKS, EvalRecord, Manifest, Store, TaskResult
from roundsmith.types import Outcome, Sample, Sampling, Split, Task
from roundsmith.verdicts import solved


async def evaluate(ctx: Context, tasks: str, model: str, split: str) -> str:
    """One record for each sample of each task of the split. Tests that the prompt shows run last,
    so that a sample's first failure never hides what the others say.

    Seeds depend neither on the weights nor on the round, so that two models are compared on the
    same draws, and the same model has the same result in every round.
    """
    task_set, weights = ctx.manifest(tasks), ctx.manifest(model)
    how = ctx.config.evaluation
    settings = {
        "split": split,
        "evaluation": how.model_dump(mode="json", exclude={"ks"}),  # which are only counted
        "style": ctx.recipe.config.style,
        "cpu_s": ctx.recipe.config.cpu_s,
        "seed": ctx.config.seed,
        "arithmetic": dict(ctx.platform.arithmetic),
        "judge": ctx.platform.judge,
    }

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[EvalRecord]]]]:
        services = await ctx.serving(weights)
        session = await ctx.session(services, weights, "evaluate", round=0)
        usual = session.style.code_stops

        async def work(task: Task) -> list[EvalRecord]:
            stops = stops_of(task, usual)
            sampling = Sampling(how.max_tokens, how.temperature, how.top_p, stop=stops)
            codes = await session.write_codes(
                task, task.description, sampling, step=0, n=how.samples
            )
            outcomes = await session.verify(hidden_first(task), codes)
            shown = shown_tests(task)
            return [
                _record(task, code, [o for o in outcomes if o.code_id == code.sample_id], shown)
                for code in codes
            ]

        yield work

    job = Job(
        "evaluate",
        17,
        settings,
        task_set,
        (weights,),
        TASKS,
        EVALS,
        lambda: tasks_of(ctx, task_set, Split(split)),
        num_tasks(task_set, Split(split)),
        begin,
        _count,
        label=f"evaluate {split}",
    )
    return reference(await sharded(ctx, job))


def _record(task: Task, code: Sample, seen: Sequence[Outcome], shown: Set[str]) -> EvalRecord:
    hidden = [outcome for outcome in seen if outcome.test_id not in shown]
    return EvalRecord(
        task_id=task.task_id,
        split=task.split,
        sample_id=code.sample_id,
        index=code.index,
        solved=solved(seen),
        strict=bool(hidden) and solved(hidden),
        tests=tuple(outcome.test_id for outcome in seen),
        verdicts=tuple(outcome.verdict for outcome in seen),
        text=code.text,
        prompt_tokens=code.prompt_tokens,
        tokens=code.token_count,
        seed=code.provenance.seed,
        weights_sha256=code.provenance.weights_sha256,
        tier=_each(outcome.tier for outcome in seen),
        image=_each(outcome.image for outcome in seen),
    )


def _each(words: Iterable[str]) -> str:
    return ", ".join(sorted(set(words)))


def evaluation_of(ctx: Context, manifest: Manifest, *, strict: bool = False) -> Evaluation:
    """The counts of an evaluation's manifest, ready for pass@k and the gate; with `strict` those of
    the tests that the prompt does not show.
    """
    return counted(ctx.store, manifest, strict=strict)


def counted(store: Store, manifest: Manifest, *, strict: bool = False) -> Evaluation:
    """The same, where there is no context."""
    drawn: dict[str, int] = {}
    correct: dict[str, int] = {}
    for record in store.read_all(EVALS, manifest):
        drawn[record.task_id] = drawn.get(record.task_id, 0) + 1
        correct[record.task_id] = correct.get(record.task_id, 0) + (
            record.strict if strict else record.solved
        )
    counts = tuple(TaskCount(task_id, drawn[task_id], correct[task_id]) for task_id in drawn)
    return Evaluation(counts, manifest.config["evaluation"]["samples"])


def results_of(ctx: Context, manifest: Manifest, of: str) -> Iterator[TaskResult]:
    """The results of an evaluation's tasks, `of` saying whose they are; in the tasks' order."""
    by_task: dict[str, list[EvalRecord]] = {}
    for record in ctx.store.read_all(EVALS, manifest):
        by_task.setdefault(record.task_id, []).append(record)
    for task_id, records in by_task.items():
        yield TaskResult(
            task_id=task_id,
            split=records[0].split,
            of=of,
            temperature=float(manifest.config["evaluation"]["temperature"]),
            samples=len(records),
            solved=sum(record.solved for record in records),
            strict=sum(record.strict for record in records),
        )


def _count(records: Sequence[EvalRecord]) -> dict[str, int]:
    prompts = {record.task_id: record.prompt_tokens for record in records}  # one for all its codes
    return {
        "tasks": len({record.task_id for record in records}),
        "samples": len(records),
        "solved": sum(record.solved for record in records),
        "strict": sum(record.strict for record in records),
        "prompt_tokens": sum(prompts.values()),
        "sampled_tokens": sum(record.tokens for record in records),
        "executions": sum(len(record.verdicts) for record in records),
    }
