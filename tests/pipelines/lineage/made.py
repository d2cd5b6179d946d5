"""A run's store made by hand: real tasks, real choices, real hashes, and no service."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roundsmith.hashing import content_hash
from roundsmith.lab import MODEL
from roundsmith.pair_builder.rules import load_rules, select
from roundsmith.recipes.contract import gold_example
from roundsmith.recipes.identities import draw_seed, sample_id
from roundsmith.recipes.styles import CompletionStyle
from roundsmith.steps import run_step
from roundsmith.steps.chosen import ChosenRows
from roundsmith.steps.config import RECIPES
from roundsmith.steps.context import Context, Made
from roundsmith.steps.held_out import held_out_key, overlap_with
from roundsmith.steps.inputs import tasks_of
from roundsmith.store import EVALS, EXAMPLES, GROUPS, EvalRecord, Manifest
from roundsmith.types import (
    Group,
    JudgedAt,
    Kind,
    Outcome,
    Provenance,
    Sample,
    Score,
    Split,
    Task,
)
from roundsmith.verdicts import Verdict
from tests.pipelines.steps.contexts import context

CPU_S = 1.0
STYLE = CompletionStyle()


@dataclass(frozen=True)
class MadeRun:
    """The work of one hand-made round, in its order."""

    context: Context
    tasks: Manifest
    model: Manifest
    sampled: Manifest
    scored: Manifest
    rows: Manifest
    checkpoint: Manifest
    before: Manifest
    after: Manifest
    decision: Manifest
    groups: tuple[Group, ...]


def made_run(folder: Path, promoted: bool | None = True, **settings: Any) -> MadeRun:
    """A GiFT round over three lab tasks: of each a right code, a wrong one, and a description of
    the right one from which another right code was drawn. Without `promoted` the gate decides.
    """
    ctx = context(folder, limit=3, eval_limit=2, **settings)
    return asyncio.run(_made(ctx, folder, promoted))


def next_round(run: MadeRun, folder: Path, promoted: bool = True) -> MadeRun:
    """Another round that begins with the checkpoint of a run."""
    ctx = replace(run.context, round=run.context.round + 1)
    return asyncio.run(_round(ctx, folder, run.tasks, run.checkpoint, promoted))


def with_a_writer(folder: Path) -> tuple[MadeRun, Manifest]:
    """The round of a recipe with a writer of its own, and that writer: it is trained on gold rows
    and draws, and the checkpoint begins with the first model.
    """
    ctx = context(folder, limit=3, eval_limit=2)
    return asyncio.run(_with_a_writer(ctx, folder))


async def _with_a_writer(ctx: Context, folder: Path) -> tuple[MadeRun, Manifest]:
    tasks = ctx.manifest(await run_step(ctx, "load_tasks"))
    model = ctx.manifest(await run_step(ctx, "load_model"))
    train = list(tasks_of(ctx, tasks, Split.TRAIN))
    gold = [gold_example(t, STYLE.code(t, t.description), STYLE.gold(t), "gift") for t in train]
    made = Made([ctx.store.write_rows(EXAMPLES, gold)], {"rows": len(gold)})
    rows = await _once(ctx, "corpus", {}, (tasks, model), made)
    writer = await _train(ctx, folder, rows, model, seed=7)
    return await _round(ctx, folder, tasks, model, None, writer), writer


async def _made(ctx: Context, folder: Path, promoted: bool | None) -> MadeRun:
    tasks = ctx.manifest(await run_step(ctx, "load_tasks"))
    model = ctx.manifest(await run_step(ctx, "load_model"))
    return await _round(ctx, folder, tasks, model, promoted)


async def _round(
    ctx: Context,
    folder: Path,
    tasks: Manifest,
    model: Manifest,
    promoted: bool | None,
    writer: Manifest | None = None,
) -> MadeRun:
    train, held = (list(tasks_of(ctx, tasks, split)) for split in (Split.TRAIN, Split.GATE))
    by = writer or model
    weights = by.stats["weights_sha256"]
    drawn = tuple(group_of(task, weights, ctx.round) for task in train)
    scored_groups = tuple(replace(g, scores=_scores(g, weights)) for g in drawn)
    key = {**ctx.recipe_key(), "seed": ctx.config.seed, "round": ctx.round}
    sampled = await _rows(ctx, "sample", key, (tasks, by), drawn)
    scored = await _rows(ctx, "score", ctx.recipe_key(), (sampled, by), scored_groups)
    rows = await _choose(ctx, tasks, scored, scored_groups)
    checkpoint = await _train(ctx, folder, rows, model)
    before = await _evaluate(ctx, tasks, model, held)
    after = await _evaluate(ctx, tasks, checkpoint, held)
    decision = await _decide(ctx, (before, after, rows, tasks), (model, checkpoint), promoted)
    made = (sampled, scored, rows, checkpoint, before, after, decision)
    run = MadeRun(ctx, tasks, model, *made, scored_groups)
    await _report(run)
    return run


def decided_again(run: MadeRun, rounds: int) -> MadeRun:
    """The same round as a run plays it that plans another number of rounds."""
    return asyncio.run(_decided_again(run, rounds))


def trained_again(run: MadeRun, folder: Path, seed: int) -> MadeRun:
    """The same round as a run of another seed plays it in the same folder, up to its rows alike."""
    return asyncio.run(_trained_again(run, folder, seed))


async def _decided_again(run: MadeRun, rounds: int) -> MadeRun:
    parents = (run.before, run.after, run.rows, run.tasks)
    stats = Made((), run.decision.stats)
    decision = await _once(run.context, "decide", {"rounds": rounds}, parents, stats)
    again = replace(run, decision=decision)
    await _report(again)
    return again


async def _trained_again(run: MadeRun, folder: Path, seed: int) -> MadeRun:
    ctx = run.context
    checkpoint = await _train(ctx, folder, run.rows, run.model, seed)
    after = await _evaluate(ctx, run.tasks, checkpoint, list(tasks_of(ctx, run.tasks, Split.GATE)))
    again = replace(run, checkpoint=checkpoint, after=after)
    return await _decided_again(again, 1)


def shown(run: MadeRun, folder: Path) -> MadeRun:
    """The same, with its round's summary where a run exports it to; nothing else is exported."""
    (folder / f"round-{run.context.round}").mkdir(exist_ok=True)
    (folder / f"round-{run.context.round}/summary.json").write_text(_told(run))
    return run


def _told(run: MadeRun) -> str:
    return " ".join(parent.hash for parent in reported(run))


def reported(run: MadeRun) -> tuple[Manifest, ...]:
    """What the report of a round is made from."""
    evaluated = (run.before, run.after, run.decision)
    made = (run.sampled, run.scored, run.rows, run.checkpoint, *evaluated)
    return (run.tasks, run.model, *made)


async def _report(run: MadeRun) -> None:
    ctx = run.context
    made = Made([ctx.store.put_blob(_told(run).encode())])
    await _once(ctx, "report", {"round": ctx.round}, reported(run), made)


def group_of(task: Task, weights: str, number: int = 1) -> Group:
    """Samples of one task with the outcomes that the executor gives them."""
    prompt = str(STYLE.code(task, task.description))
    right, wrong = STYLE.gold(task), "    return None"
    first = _sample(task, weights, number, Kind.CODE, 0, 0, prompt, right)
    bad = _sample(task, weights, number, Kind.CODE, 0, 1, prompt, wrong)
    told = _sample(
        task, weights, number, Kind.DESCRIPTION, 0, 0, "Say.", "the same", (first.sample_id,)
    )
    again = _sample(task, weights, number, Kind.CODE, 1, 0, prompt + " ", right, (told.sample_id,))
    outcomes = [
        Outcome(code.sample_id, test.test_id, Verdict.PASS, JudgedAt.OUTSIDE, "T2", "python")
        for code in (first, again)
        for test in task.tests
    ]
    failed = Outcome(
        bad.sample_id, task.tests[0].test_id, Verdict.FAIL, JudgedAt.OUTSIDE, "T2", "python"
    )
    return Group(task, (first, bad, told, again), (*outcomes, failed))


def _sample(
    task: Task,
    weights: str,
    number: int,
    kind: Kind,
    step: int,
    index: int,
    prompt: str,
    completion: str,
    parents: tuple[str, ...] = (),
) -> Sample:
    origin = Provenance(
        task.task_id,
        "gift",
        number,
        weights,
        11,
        parents=parents,
        source=task.source,
        licence=task.licence,
    )
    text = STYLE.program(task, task.description, completion) if kind is Kind.CODE else completion
    found = Sample("", kind, step, index, prompt, completion, text, -3.0, 20, 9, "stop", origin)
    return replace(found, sample_id=sample_id(found))


def _scores(group: Group, weights: str) -> dict[str, Score]:
    return {code.sample_id: Score(-3.0, 9, weights) for code in group.passing()}


async def _rows(
    ctx: Context,
    step: str,
    config: dict[str, object],
    parents: tuple[Manifest, ...],
    groups: Sequence[Group],
) -> Manifest:
    return await _once(ctx, step, config, parents, Made([ctx.store.write_rows(GROUPS, groups)]))


async def _choose(
    ctx: Context, tasks: Manifest, scored: Manifest, groups: Sequence[Group]
) -> Manifest:
    rules, seed = load_rules((RECIPES,)), ctx.config.seed
    built = [select(rules, "gift", ctx.choices, seed, group) for group in groups]
    with ChosenRows(ctx.store, overlap_with(ctx, tasks, ())) as chosen:
        chosen.add(groups, built)
    rows = sum(ref.rows for ref in chosen.objects[:2])
    stats = {"rows": rows, "gold": chosen.gold, "selected": rows - chosen.gold}
    config = {**ctx.recipe_key(), "seed": seed, **held_out_key(ctx, ())}
    return await _once(ctx, "select", config, (scored, tasks), Made(chosen.objects, stats))


async def _train(
    ctx: Context, folder: Path, rows: Manifest, base: Manifest, seed: int = 0
) -> Manifest:
    copy = folder / f"trained-{ctx.round}"
    shutil.copytree(MODEL, copy)
    (copy / "generation_config.json").write_text(f'{{"round": {ctx.round}, "seed": {seed}}}')
    stored = ctx.store.put_folder(copy)
    shutil.rmtree(copy)
    stats = {"weights_sha256": stored.weights_sha256, "steps": 3, "rows": rows.rows}
    return await _once(ctx, "train", {"seed": seed}, (rows, base), Made([stored.object], stats))


async def _evaluate(
    ctx: Context, tasks: Manifest, model: Manifest, held: Sequence[Task]
) -> Manifest:
    weights = model.stats["weights_sha256"]
    records = []
    for task in held:
        code = STYLE.program(task, task.description, STYLE.gold(task))
        passed = (Verdict.PASS,) * len(task.tests)
        name = content_hash(task.task_id, weights)
        tests = tuple(test.test_id for test in task.tests)
        made_of = (task.task_id, task.split, name, 0, True, True, tests, passed)
        seed = draw_seed(ctx.config.seed, 0, task.task_id, Kind.CODE, 0)
        records.append(EvalRecord(*made_of, code, 9, 9, seed, weights, "T2", "python"))
    how = {"evaluation": {"samples": 1}, "split": "gate", "seed": ctx.config.seed}
    made = Made([ctx.store.write_rows(EVALS, records)], {"tasks": len(held)})
    return await _once(ctx, "evaluate", how | {"cpu_s": CPU_S}, (tasks, model), made)


async def _decide(
    ctx: Context,
    seen: tuple[Manifest, Manifest, Manifest, Manifest],
    models: tuple[Manifest, Manifest],
    promoted: bool | None,
) -> Manifest:
    if promoted is not None:
        return await _once(ctx, "decide", {}, seen, Made((), {"promoted": promoted}))
    names = ("before", "after", "rows", "tasks", "model", "checkpoint")
    manifests = zip(names, (*seen, *models), strict=True)
    refs = {name: manifest.reference for name, manifest in manifests}
    return ctx.manifest(await run_step(ctx, "decide", **refs))


async def _once(
    ctx: Context,
    step: str,
    config: dict[str, object],
    parents: tuple[Manifest, ...],
    made: Made,
) -> Manifest:
    async def make() -> Made:
        return made

    return await ctx.once(step, 1, config, parents, make)
