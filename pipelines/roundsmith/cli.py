"""The command `roundsmith`. Nothing heavy is imported before a command needs it."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from roundsmith.cli_lab import lab_app
from roundsmith.cli_serve import serve_app
from roundsmith.commands import bench, doctor
from roundsmith.commands import compile as compiling
from roundsmith.errors import RoundsmithError

app = typer.Typer(
    help="Rounds of self-training: a code language model made better with data it writes itself.",
    epilog="Start with: roundsmith run --recipe gift --out runs/lab  (minutes, no GPU needed)",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(serve_app, name="serve")
app.add_typer(lab_app, name="lab")

Model = Annotated[
    str | None,
    typer.Option(help="`lab`, a Hugging Face folder, or a hub id.", rich_help_panel="Inputs"),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        help="`lab`, a JSONL or Parquet file, or a file of MBPP or HumanEval (docs/tasks.md).",
        rich_help_panel="Inputs",
    ),
]
Seed = Annotated[int | None, typer.Option(help="The same seed, the same result.")]
Out = Annotated[Path, typer.Option(help="Folder of the run. Run again in it to go on.")]


@app.command()
def run(
    recipe: Annotated[
        str, typer.Option(help="gift, rft, or one of your own (--recipes).")
    ] = "gift",
    out: Out = Path("runs/run"),
    model: Model = None,
    tasks: Tasks = None,
    limit: Annotated[
        int | None, typer.Option(help="Training tasks at most.", rich_help_panel="Inputs")
    ] = None,
    eval_limit: Annotated[
        int | None,
        typer.Option(help="Tasks of gate and of final at most.", rich_help_panel="Inputs"),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="lab, laptop or paper. By default lab for the lab's model, else paper where there "
            "is a GPU and laptop where there is none."
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting of the recipe, such as iterations=3 or training.epochs=1."
        ),
    ] = None,
    recipes: Annotated[
        list[str] | None, typer.Option(help="Package or folder of recipes of your own.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(help="Each goes on from the promoted checkpoint.")
    ] = None,
    seed: Seed = None,
    control: Annotated[
        bool, typer.Option(help="Also train on gold rows alone for as many steps.")
    ] = True,
    skip_bad_rows: Annotated[
        bool,
        typer.Option("--skip-bad-rows", help="Leave bad task rows out.", rich_help_panel="Inputs"),
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option(help="Branch, tag or commit of a hub id.", rich_help_panel="Inputs"),
    ] = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code",
            help="Let the model's repository run code here.",
            rich_help_panel="Inputs",
        ),
    ] = False,
) -> None:
    """Run rounds on this machine: sample, verify, select, fine-tune, evaluate, promote.

    Ctrl-C, kill -9 and power cuts lose at most what is under way: run the same command again and it
    goes on. A round ends in OUT/round-N: summary.json, report.html, checkpoint/ and data/.
    """
    from roundsmith.commands.progress import error_console
    from roundsmith.commands.run import default_preset, run_rounds, show
    from roundsmith.presets import run_config
    from roundsmith.steps.config import RECIPES

    options = {
        "recipe": recipe,
        "model": model,
        "tasks": tasks,
        "limit": limit,
        "eval_limit": eval_limit,
        "rounds": rounds,
        "seed": seed,
        "control": control,
        "skip_bad_rows": skip_bad_rows or None,
        "revision": revision,
        "trust_remote_code": trust_remote_code or None,
        "recipes": (RECIPES, *recipes) if recipes else None,
    }
    chosen = preset or default_preset(model or "lab")
    settings = run_config(chosen, config, options, set_ or [])
    console = error_console()
    try:
        summaries = run_rounds(settings, out, console)
    except KeyboardInterrupt as error:
        _say("interrupted: run the same command again and it goes on")
        raise typer.Exit(130) from error
    for summary in summaries:
        show(summary, out / f"round-{summary.result.round}", console)


@app.command(name="eval")
def evaluate(
    model: Annotated[str, typer.Argument(help="`lab`, a Hugging Face folder, or a hub id.")],
    tasks: Annotated[str, typer.Option(help="`lab`, or a file of tasks.")] = "lab",
    split: Annotated[str, typer.Option(help="train, gate or final.")] = "gate",
    limit: Annotated[int | None, typer.Option(help="Tasks at most.")] = None,
    samples: Annotated[int, typer.Option(help="Samples of each task (n).")] = 1,
    k: Annotated[list[int] | None, typer.Option(help="The k of pass@k; at most n.")] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(help="Tokens of a completion at most.")] = 512,
    style: Annotated[str, typer.Option(help="auto, completion or chat.")] = "auto",
    out: Out = Path("runs/eval"),
    json_: Annotated[Path | None, typer.Option("--json", help="Also write the numbers.")] = None,
    seed: int = 0,
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows")] = False,
) -> None:
    """Measure pass@k of a model on a split, with intervals; every task stays in the denominator."""
    from roundsmith.commands.evaluate import evaluate_model
    from roundsmith.commands.progress import error_console

    options = {
        "model": model,
        "tasks": tasks,
        "seed": seed,
        "skip_bad_rows": skip_bad_rows,
        "limit": limit,
        "eval_limit": limit,
        "evaluation": {
            "samples": samples,
            "ks": k or [1],
            "temperature": temperature,
            "max_tokens": max_tokens,
        },
    }
    evaluate_model(options, style, split, out, json_, error_console())


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A round's folder, such as runs/lab/round-1.")],
) -> None:
    """Print a finished round's numbers, and where its report is."""
    from rich.console import Console

    from roundsmith.commands.run import read_summary, show

    show(read_summary(folder), folder, Console(highlight=False))


app.command("compile", epilog=compiling.EPILOG)(compiling.compile_)
app.command("bench", epilog=bench.EPILOG)(bench.bench)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)


def main() -> None:
    """The entry point: errors become one message and an exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for noisy in ("httpx", "fsspec", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        app()
    except RoundsmithError as error:
        _fail(error)
    except ExceptionGroup as group:
        _fail(_first(group))


def _first(error: Exception) -> Exception:
    """What went wrong first in tasks that ran side by side; the others were cancelled for it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(error: Exception) -> None:
    if not isinstance(error, RoundsmithError):
        raise error
    _say(str(error))
    sys.exit(error.exit_code)


def _say(message: str) -> None:
    print(f"roundsmith: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
