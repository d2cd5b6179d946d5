"""`roundsmith eval`: pass@k of one model on one split."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from roundsmith.commands.progress import ProgressView
from roundsmith.commands.run import only_run
from roundsmith.errors import ConfigError
from roundsmith.platform.local import LocalPlatform
from roundsmith.steps import run_step
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context
from roundsmith.steps.evaluate import evaluation_of
from roundsmith.storage import make_output_folder
from roundsmith.store import Store
from roundsmith.types import Split
from roundsmith.wrong_settings import explain


def evaluate_model(
    options: Mapping[str, Any],
    style: str,
    split: str,
    out: Path,
    json_file: Path | None,
    console: Console,
) -> None:
    """Evaluates, prints pass@k with its interval, and writes `json_file`; resumable like a run."""
    config = _config(options, style, split)
    make_output_folder(out)
    if json_file is not None:
        make_output_folder(json_file.parent, "--json")
    with only_run(out), asyncio.Runner() as runner, ProgressView(console) as view:
        platform = LocalPlatform(config, (out / "work").resolve())
        context = Context(Store(str(out / "store")), config, 0, platform, view)

        def do(step: str, **refs: str) -> str:
            return runner.run(platform.watched(run_step(context, step, **refs)))

        try:
            tasks, model = do("load_tasks", split=split), do("load_model")
            done = context.manifest(do("evaluate", tasks=tasks, model=model, split=split))
        finally:
            runner.run(platform.close())
    evaluation = evaluation_of(context, done)
    numbers = {}
    for k in config.evaluation.ks:
        interval = evaluation.interval(k, seed=config.seed)
        numbers[str(k)] = {"value": evaluation.mean(k), "ci95": [interval.low, interval.high]}
        console.print(
            f"{split} pass@{k}: {100 * evaluation.mean(k):.1f} % of {done.stats['tasks']} tasks "
            f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
        )
    if json_file is not None:
        fields = {"model": config.model, "split": split, "pass_at_k": numbers, **done.stats}
        json_file.write_text(json.dumps(fields, indent=2) + "\n")


def _config(options: Mapping[str, Any], style: str, split: str) -> RunConfig:
    if split not in list(Split):
        raise ConfigError(f"--split {split!r}: expected one of {', '.join(Split)}")
    try:
        return RunConfig.model_validate(
            {"recipe": "rft", "recipe_config": {"style": style}, **options}
        )
    except ValidationError as error:
        raise ConfigError(explain(error, RunConfig)) from error
