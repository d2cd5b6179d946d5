"""`roundsmith eval`: pass@k of one model on one split."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from roundsmith.benchmarks.asserted import shown_tests
from roundsmith.commands.progress import ProgressView
from roundsmith.commands.run import mended, only_run
from roundsmith.errors import ConfigError
from roundsmith.platform.local import LocalPlatform
from roundsmith.statistics import Evaluation
from roundsmith.steps import run_step
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context
from roundsmith.steps.evaluate import evaluation_of, results_of
from roundsmith.steps.inputs import tasks_of
from roundsmith.storage import make_output_folder
from roundsmith.store import RESULTS, Manifest, Store, TaskResult, write_file
from roundsmith.types import Split
from roundsmith.wrong_settings import explain

RESULTS_FILE = "results.parquet"
GREEDY = "greedy "
"""How the names of what was drawn at temperature 0 begin."""


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

        def do(ctx: Context, step: str, **refs: str) -> Manifest:
            return ctx.manifest(runner.run(platform.watched(run_step(ctx, step, **refs))))

        try:
            found = mended(context.store, lambda: _evaluated(context, split, greedy, do))
        finally:
            runner.run(platform.close())
    write_file(RESULTS, out / RESULTS_FILE, found.results)
    fields: dict[str, Any] = {"model": config.model, "split": split}
    for name, evaluation in found.evaluations.items():
        key = f"{name.replace(' ', '_')}pass_at_k"
        ks = (1,) if name.startswith(GREEDY) else config.evaluation.ks
        fields[key] = _numbers(evaluation, ks, config.seed, f"{split} {name}pass@", console)
    if json_file is not None:
        json_file.write_text(json.dumps({**fields, **found.stats}, indent=2) + "\n")


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """What was counted, by how, and the results of the tasks."""

    evaluations: Mapping[str, Evaluation]
    results: Sequence[TaskResult]
    stats: Mapping[str, Any]


def _evaluated(
    context: Context, split: str, greedy: bool, do: Callable[..., Manifest]
) -> _Evaluated:
    """Evaluates, and reads all that it came to."""
    tasks, model = do(context, "load_tasks", split=split), do(context, "load_model")
    refs = {"tasks": tasks.reference, "model": model.reference, "split": split}
    asked = {"": context, **({GREEDY: _greedily(context)} if greedy else {})}
    done = {name: do(ctx, "evaluate", **refs) for name, ctx in asked.items()}
    shows = any(shown_tests(task) for task in tasks_of(context, tasks, Split(split)))
    return _Evaluated(
        {
            f"{name}{'strict ' if strict else ''}": evaluation_of(context, manifest, strict=strict)
            for name, manifest in done.items()
            for strict in ((False, True) if shows else (False,))
        },
        [row for manifest in done.values() for row in results_of(context, manifest, "model")],
        done[""].stats,
    )


def _greedily(context: Context) -> Context:
    """The same with one sample a task at temperature 0."""
    changed = {"samples": 1, "ks": (1,), "temperature": 0.0}
    how = context.config.evaluation.model_copy(update=changed)
    return replace(context, config=context.config.model_copy(update={"evaluation": how}))


def _numbers(
    evaluation: Evaluation, ks: Sequence[int], seed: int, name: str, console: Console
) -> dict[str, Any]:
    """pass@k by k with its interval, each printed below its name."""
    numbers = {}
    for k in ks:
        interval = evaluation.interval(k, seed=seed)
        numbers[str(k)] = {"value": evaluation.mean(k), "ci95": [interval.low, interval.high]}
        console.print(
            f"{name}{k}: {100 * evaluation.mean(k):.1f} % of {len(evaluation.counts)} tasks "
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
