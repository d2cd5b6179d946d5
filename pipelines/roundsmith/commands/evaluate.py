"""`roundsmith eval`: pass@k of one model on one split."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from roundsmith.benchmarks.asserted import shown_tests
from roundsmith.commands.progress import ProgressView
from roundsmith.commands.run import only_run
from roundsmith.errors import ConfigError
from roundsmith.platform.local import LocalPlatform
from roundsmith.steps import run_step
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context
from roundsmith.steps.evaluate import evaluation_of, results_of
from roundsmith.steps.inputs import tasks_of
from roundsmith.storage import make_output_folder
from roundsmith.store import RESULTS, Manifest, Store, write_file
from roundsmith.types import Split
from roundsmith.wrong_settings import explain

RESULTS_FILE = "results.parquet"


def evaluate_model(
    options: Mapping[str, Any],
    style: str,
    split: str,
    out: Path,
    json_file: Path | None,
    console: Console,
    greedy: bool = False,
) -> None:
    """Evaluates, prints pass@k with its interval, and writes the results of the tasks to
    `results.parquet` and the numbers to `json_file`; resumable like a run. Where prompts show tests
    the strict score, by the others alone, is given too; with `greedy` also pass@1 of one sample at
    temperature 0.
    """
    config = _config(options, style, split)
    make_output_folder(out)
    if json_file is not None:
        make_output_folder(json_file.parent, "--json")
    with only_run(out), asyncio.Runner() as runner, ProgressView(console) as view:
        platform = LocalPlatform(config, (out / "work").resolve())
        context = Context(Store(str(out / "store")), config, 0, platform, view)

        def do(ctx: Context, step: str, **refs: str) -> str:
            return runner.run(platform.watched(run_step(ctx, step, **refs)))

        try:
            tasks, model = do(context, "load_tasks", split=split), do(context, "load_model")
            asked = {"": context, **({"greedy ": _greedily(context)} if greedy else {})}
            refs = {"tasks": tasks, "model": model, "split": split}
            found = {
                name: (ctx, ctx.manifest(do(ctx, "evaluate", **refs)))
                for name, ctx in asked.items()
            }
        finally:
            runner.run(platform.close())
    results = (row for ctx, done in found.values() for row in results_of(ctx, done, "model"))
    write_file(RESULTS, out / RESULTS_FILE, results)
    shows = any(
        shown_tests(task) for task in tasks_of(context, context.manifest(tasks), Split(split))
    )
    fields: dict[str, Any] = {"model": config.model, "split": split}
    for name, (ctx, done) in found.items():
        for strict in (False, True) if shows else (False,):
            words = f"{name}{'strict ' if strict else ''}"
            key = f"{words.replace(' ', '_')}pass_at_k"
            fields[key] = _numbers(ctx, done, f"{split} {words}pass@", console, strict)
    if json_file is not None:
        json_file.write_text(json.dumps({**fields, **found[""][1].stats}, indent=2) + "\n")


def _greedily(context: Context) -> Context:
    """The same with one sample a task at temperature 0."""
    changed = {"samples": 1, "ks": (1,), "temperature": 0.0}
    how = context.config.evaluation.model_copy(update=changed)
    return replace(context, config=context.config.model_copy(update={"evaluation": how}))


def _numbers(
    context: Context, done: Manifest, name: str, console: Console, strict: bool
) -> dict[str, Any]:
    """pass@k by k with its interval, each printed below its name."""
    evaluation, seed = evaluation_of(context, done, strict=strict), context.config.seed
    numbers = {}
    for k in context.config.evaluation.ks:
        interval = evaluation.interval(k, seed=seed)
        numbers[str(k)] = {"value": evaluation.mean(k), "ci95": [interval.low, interval.high]}
        console.print(
            f"{name}{k}: {100 * evaluation.mean(k):.1f} % of {done.stats['tasks']} tasks "
            f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
        )
    return numbers


def _config(options: Mapping[str, Any], style: str, split: str) -> RunConfig:
    if split not in list(Split):
        raise ConfigError(f"--split {split!r}: expected one of {', '.join(Split)}")
    try:
        return RunConfig.model_validate(
            {"recipe": "rft", "recipe_config": {"style": style}, **options}
        )
    except ValidationError as error:
        raise ConfigError(explain(error, RunConfig)) from error
