"""The first steps: tasks and model are read, checked and put into the store."""

import asyncio
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from roundsmith.benchmarks.corpus import load_corpus
from roundsmith.benchmarks.load import LoadedTasks
from roundsmith.benchmarks.load import load_tasks as read_tasks
from roundsmith.benchmarks.problems import num_rows
from roundsmith.config import offline
from roundsmith.errors import ConfigError, UnfitTasks
from roundsmith.hashing import content_hash, derive_seed
from roundsmith.lab import model_source
from roundsmith.recipes.contract import Recipe
from roundsmith.statistics import fewest_tasks, least_p_value
from roundsmith.steps.config import RunConfig
from roundsmith.steps.contamination import HeldOut, gives_away
from roundsmith.steps.context import Context, Made, reference
from roundsmith.store import TASKS, Manifest, ObjectRef
from roundsmith.types import Split, Task

log = logging.getLogger(__name__)

AT_ONCE = 5000
"""Tasks that are looked at, some seconds' work, before the run hears of it or can end."""
_CORPUS = 2
"""Raised when the same file of a corpus is read as other tasks."""
FEW = 5
"""Tasks that a warning names; the manifest has all."""


async def load_tasks(ctx: Context, split: str = "") -> str:
    """The tasks of the run: one object a split, in the order train, gate, final.

    Training tasks that give a held-out one away are left out. A limit takes a random choice of a
    split's tasks, the same for a seed. Raises ConfigError when a split is empty, the recipe can not
    work on the training tasks, no reference is there for the recipe or the control to train on, or
    a file of `keep` can not be read; with `split`, an evaluation of that one alone, only when it is
    empty.
    """
    config = ctx.config
    loaded = await asyncio.to_thread(read_tasks, config.tasks, skip_bad_rows=config.skip_bad_rows)
    if config.corpus is not None and not split:
        loaded = await asyncio.to_thread(_with_corpus, loaded, config, ctx.recipe)
    for problem in loaded.problems:
        log.warning("left out: %s", problem)
    held_out = loaded.of(Split.GATE) + loaded.of(Split.FINAL)
    told, kept = await _disjoint(ctx, loaded.of(Split.TRAIN), held_out)
    if told and not split:
        _tell_repeats(config.tasks, told, kept)
    by_split = {split: loaded.of(split) for split in Split} | {Split.TRAIN: kept}
    limits = {
        Split.TRAIN: config.limit,
        Split.GATE: config.eval_limit,
        Split.FINAL: config.eval_limit,
    }
    chosen = {s: _limited(by_split[s], limit, config.seed) for s, limit in limits.items()}
    _refuse_empty(config.tasks, chosen, [Split(split)] if split else list(Split))
    if not split:
        _refuse_no_references(config, ctx.recipe, chosen[Split.TRAIN])
        ctx.recipe.check(chosen[Split.TRAIN])
        await asyncio.to_thread(_refuse_bad_keep_files, config)
        _warn_of_a_gate_that_never_opens(len(chosen[Split.GATE]), config)
    settings = {
        "source": loaded.source_hash,
        "limits": {str(split): limit for split, limit in limits.items()},
        "seed": config.seed,
    }

    async def make() -> Made:
        objects, stats = [], {}
        for name, tasks in chosen.items():
            objects.append(ctx.store.write_rows(TASKS, tasks))
            stats[str(name)] = len(tasks)
        left_out = {"left_out": num_rows(loaded.problems), "repeats_of_held_out": list(told)}
        return Made(objects, stats | left_out)

    return reference(await ctx.once("tasks", 5, settings, (), make))


def _refuse_bad_keep_files(config: RunConfig) -> None:
    """They are needed after sampling only: what is wrong with one is told before."""
    for kept in config.keep:
        if kept.tasks:
            read_tasks(kept.tasks, skip_bad_rows=config.skip_bad_rows)


def _with_corpus(loaded: LoadedTasks, config: RunConfig, recipe: Recipe) -> LoadedTasks:
    """The held-out tasks as they are, and the rows of the corpus as the training tasks."""
    assert config.corpus is not None
    if recipe.runs_tests:
        raise ConfigError(
            f"--corpus {config.corpus}: expected a recipe that runs no tests, because its rows "
            f"have none, saw {recipe.name}: use inverse_instruct, or give --tasks"
        )
    corpus = load_corpus(config.corpus, skip_bad_rows=config.skip_bad_rows)
    return LoadedTasks(
        (*corpus.tasks, *loaded.of(Split.GATE), *loaded.of(Split.FINAL)),
        (*corpus.problems, *loaded.problems),
        content_hash("corpus", _CORPUS, corpus.source_hash, loaded.source_hash),
    )


async def load_model(ctx: Context) -> str:
    """The model that the run starts from, as a folder in the store.

    A hub id is resolved to a commit, which is recorded and used again whenever the run goes on.
    """
    from roundsmith.models.folder import refuse_quantized, resolve
    from roundsmith.models.licence import licence_of

    config = ctx.config
    found = await asyncio.to_thread(
        resolve,
        model_source(config.model),
        revision=_recorded_commit(ctx) or config.revision,
        trust_remote_code=config.trust_remote_code,
    )
    refuse_quantized(found.path)
    settings = {
        "model": config.model,
        "revision": config.revision,
        "weights_sha256": found.weights_sha256,
    }

    async def make() -> Made:
        ref = await asyncio.to_thread(ctx.store.put_folder, found.path)
        stats = {
            "weights_sha256": ref.weights_sha256,
            "commit": found.commit,
            "licence": licence_of(found.path),
        }
        return Made([ref.object], stats, {"bytes": ctx.store.folder_bytes(ref)})

    return reference(await ctx.once("model", 2, settings, (), make))


async def check_inputs(ctx: Context) -> None:
    """Raises ConfigError for tasks and a model that no round can begin with. The model is looked
    at, not stored; one that a hub is asked for is left to `load_model`.
    """
    from roundsmith.models.folder import check, refuse_quantized, resolve

    await load_tasks(ctx)
    source, allowed = model_source(ctx.config.model), ctx.config.trust_remote_code
    if Path(source).is_dir():
        await asyncio.to_thread(check, Path(source), allowed)
        refuse_quantized(Path(source))
    elif not is_here(ctx) and offline():
        await asyncio.to_thread(resolve, source, ctx.config.revision, allowed)


def _recorded_commit(ctx: Context) -> str:
    """The commit that this run resolved the same hub id and revision to before, or nothing."""
    wanted = {"model": ctx.config.model, "revision": ctx.config.revision}
    for manifest in ctx.store.manifests("model"):
        if wanted.items() <= manifest.config.items():
            return str(manifest.stats["commit"])
    return ""


def is_here(ctx: Context) -> bool:
    """Whether the model of a run can be looked at without fetching it from a hub. Raises
    ConfigError where it is no folder and no hub could have it either.
    """
    from roundsmith.models.near import near_by

    source = model_source(ctx.config.model)
    if Path(source).is_dir() or _recorded_commit(ctx):
        return True
    if source.startswith((".", "/")) or source.count("/") > 1:  # a hub's ids are OWNER/NAME
        raise ConfigError(
            f"model {source!r}: saw no such folder, expected `lab`, `lab-1`, `lab-2`, "
            f"one with safetensors weights, or a hub id (OWNER/NAME){near_by(Path(source))}"
        )
    return False


def tasks_of(ctx: Context, tasks: Manifest, split: Split) -> Iterator[Task]:
    """The tasks of one split, in order, streamed."""
    return ctx.store.read_rows(TASKS, split_object(tasks, split))


def num_tasks(tasks: Manifest, split: Split) -> int:
    """How many tasks a split has."""
    return split_object(tasks, split).rows


def split_object(tasks: Manifest, split: Split) -> ObjectRef:
    """The object that holds the tasks of a split."""
    return tasks.of_kind(TASKS.name)[list(Split).index(split)]


def _refuse_empty(
    source: str, tasks: Mapping[Split, Sequence[Task]], needed: Sequence[Split]
) -> None:
    empty = [split for split in needed if not tasks[split]]
    if empty:
        seen = ", ".join(f"{len(of)} of {split}" for split, of in tasks.items())
        others = " or ".join(f"--split {split}" for split, of in tasks.items() if of)
        asked = f"ask for {others}, or " if others and len(needed) == 1 else ""
        raise ConfigError(
            f"tasks {source}: expected at least one of split {' and '.join(empty)}, saw {seen}: "
            f"{asked}give the rows a `split` of train, gate or final"
        )


def _refuse_no_references(config: RunConfig, recipe: Recipe, tasks: Sequence[Task]) -> None:
    """A recipe that rests on them would end after its samples are paid for."""
    if any(task.reference is not None for task in tasks):
        return
    if recipe.needs_references:
        why, otherwise = f"recipe {recipe.name} rests on them", "choose a recipe that does not"
    elif config.control:
        why, otherwise = "the control is trained on them", "leave the control out with --no-control"
    else:
        return
    raise UnfitTasks(
        f"tasks {config.tasks}: expected a reference program for some of the {len(tasks)} training "
        f"tasks, because {why}, saw none: give the rows a reference, or {otherwise}"
    )


def _warn_of_a_gate_that_never_opens(num_tasks: int, config: RunConfig) -> None:
    threshold = config.alpha / config.rounds
    if num_tasks >= fewest_tasks(threshold):
        return
    log.warning(
        "no checkpoint can be promoted: expected at least %d gate tasks, saw %d, whose p is %.2g "
        "at the least, more than %.2g (alpha %g, planned rounds %d): give more gate tasks or raise "
        "--eval-limit",
        fewest_tasks(threshold),
        num_tasks,
        least_p_value(num_tasks),
        threshold,
        config.alpha,
        config.rounds,
    )


async def _disjoint(
    ctx: Context, tasks: tuple[Task, ...], held_out: tuple[Task, ...]
) -> tuple[tuple[str, ...], tuple[Task, ...]]:
    """The ids of the tasks that give a held-out one away, and the other tasks; tells progress on
    more than AT_ONCE.
    """
    known = await asyncio.to_thread(HeldOut.of, held_out)
    told: list[str] = []
    for start in range(0, len(tasks), AT_ONCE):
        part = tasks[start : start + AT_ONCE]
        told += await asyncio.to_thread(_giving, part, known)
        if len(tasks) > AT_ONCE:
            ctx.progress("tasks", start + len(part), len(tasks), "")
    giving = frozenset(told)
    return tuple(told), tuple(task for task in tasks if task.task_id not in giving)


def _giving(tasks: Sequence[Task], known: HeldOut) -> list[str]:
    return [task.task_id for task in tasks if gives_away(task, known)]


def _tell_repeats(source: str, told: Sequence[str], kept: Sequence[Task]) -> None:
    if not kept:
        raise ConfigError(
            f"tasks {source}: expected training tasks of their own, saw all {len(told)} repeat the "
            "description or the reference of a task of gate or final: put other tasks into one "
            "of the splits"
        )
    rest = f" and {len(told) - FEW} more" if len(told) > FEW else ""
    log.warning(
        "left out %d of %d training tasks, because they repeat held-out ones: %s%s",
        len(told),
        len(told) + len(kept),
        ", ".join(told[:FEW]),
        rest,
    )


def _limited(tasks: tuple[Task, ...], limit: int | None, seed: int) -> list[Task]:
    if limit is None or limit >= len(tasks):
        return list(tasks)
    chosen = random.Random(derive_seed(seed, "limit")).sample(range(len(tasks)), limit)
    return [tasks[i] for i in sorted(chosen)]
