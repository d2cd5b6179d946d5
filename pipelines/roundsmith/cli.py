"""The command `roundsmith`. Nothing heavy is imported before a command needs it."""

import logging
import signal
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from roundsmith import tracing
from roundsmith.cli_lab import lab_app
from roundsmith.cli_runs import add_commands
from roundsmith.cli_serve import serve_app
from roundsmith.commands import (
    audit,
    bench,
    cluster_runs,
    compare,
    doctor,
    options,
    promote,
    reproduce,
    schema,
    submit,
)
from roundsmith.commands import compile as compiling
from roundsmith.commands.groups import grouped
from roundsmith.commands.interrupt import Interruptible, resumable
from roundsmith.commands.output import out_option
from roundsmith.errors import FORBIDDEN, ConfigError, RoundsmithError

app = typer.Typer(
    cls=Interruptible,
    epilog="Start with: roundsmith run --recipe gift --out runs/lab  (minutes, no GPU needed)",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(serve_app, name="serve")
app.add_typer(lab_app, name="lab")

Out = Annotated[Path, out_option("Folder of the run. Run again in it to go on.")]


def _show_version(asked: bool) -> None:
    if asked:
        from roundsmith.steps.code_version import code_version

        print(f"roundsmith {code_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the release and a hash of its code, as rows and reports name it, and exit.",
        ),
    ] = False,
) -> None:
    """Rounds of self-training: a code language model made better with data it writes itself."""


@app.command()
@grouped
def run(
    choice: options.Choice,
    out: Out = Path("runs/run"),
    preset: Annotated[
        str | None,
        typer.Option(
            help="lab, laptop, paper, or a paper's own run: paper-gift, paper-dstc, "
            "paper-inverse-instruct, paper-atomic. By default lab for the lab's models, else paper "
            "where there is a GPU and laptop where there is none."
        ),
    ] = None,
    cluster: options.Cluster = None,
    otlp_endpoint: Annotated[
        str | None,
        typer.Option(
            help="Where traces of the rounds and of their services are sent by OTLP, "
            "http://HOST:4317; needs the extra otel."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only say what would be done, and roughly how long it takes."
        ),
    ] = False,
) -> None:
    """Run rounds on this machine: sample, verify, select, fine-tune, evaluate, promote.

    Ctrl-C, kill -9 and power cuts lose at most what is under way: run the same command again and it
    goes on. A round ends in OUT/round-N: summary.json, report.html, checkpoint/ and data/.

    With --cluster the same rounds use a cluster's services and train in pods; `roundsmith submit`
    starts this in a pod.
    """
    from roundsmith.commands.plan import plan_run
    from roundsmith.commands.progress import error_console, output_console
    from roundsmith.commands.run import default_preset, preset_elsewhere, run_rounds
    from roundsmith.commands.run_on_cluster import run_on_cluster

    default = preset_elsewhere if cluster else default_preset
    settings = choice.settings(preset or default)
    console = error_console()
    with resumable(), tracing.program("roundsmith run", otlp_endpoint):
        if dry_run:
            plan_run(settings, out, cluster, output_console())
        elif cluster:
            run_on_cluster(settings, cluster, out, console)
        else:
            run_rounds(settings, out, console, otlp_endpoint)


@app.command(name="eval")
def evaluate(
    model: Annotated[str, typer.Argument(help="`lab`, a Hugging Face folder, or a hub id.")],
    tasks: Annotated[str, typer.Option(help="`lab`, or a file of tasks.")] = "lab",
    split: Annotated[str, typer.Option(help="train, gate or final.")] = "gate",
    limit: Annotated[int | None, typer.Option(help="Tasks at most.")] = None,
    samples: Annotated[int, typer.Option(help="Samples of each task (n).")] = 1,
    k: Annotated[
        list[int] | None, typer.Option("-k", "--k", help="The k of pass@k; at most n.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    greedy: Annotated[
        bool, typer.Option("--greedy", help="Also pass@1 of one sample at temperature 0.")
    ] = False,
    max_tokens: Annotated[int, typer.Option(help="Tokens of a completion at most.")] = 512,
    style: Annotated[str, typer.Option(help="auto, completion or chat.")] = "auto",
    out: Out = Path("runs/eval"),
    json_: Annotated[Path | None, typer.Option("--json", help="Also write the numbers.")] = None,
    seed: int = 0,
    skip_bad_rows: options.SkipBadRows = False,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Measure pass@k of a model on a split, with intervals; every task stays in the denominator."""
    from roundsmith.commands.evaluate import evaluate_model
    from roundsmith.commands.progress import error_console

    given = {
        "model": model,
        "revision": revision,
        "trust_remote_code": trust_remote_code,
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
    with resumable():
        evaluate_model(given, style, split, out, json_, error_console(), greedy)


@app.command()
def report(
    folder: Annotated[
        str,
        typer.Argument(
            help="A round's folder or URL, such as runs/lab/round-1, or a run's: its last round."
        ),
    ],
) -> None:
    """Print a finished round's numbers, and where its report is."""
    from roundsmith.commands.exported import read_summary
    from roundsmith.commands.progress import output_console
    from roundsmith.commands.promotions import why_taken_back
    from roundsmith.commands.show import show
    from roundsmith.lineage.meant import meant_round

    found = meant_round(folder).rstrip("/")
    summary = read_summary(found)
    run, of = found.rpartition("/")[0] or ".", summary.result
    why = why_taken_back(run, of.checkpoint_sha256) if of.promoted else None
    show(summary, found, output_console(), why)


add_commands(app)
app.command("reproduce", epilog=reproduce.EPILOG)(reproduce.reproduce)
app.command("compare", epilog=compare.EPILOG)(compare.compare)
app.command("submit", epilog=submit.EPILOG)(submit.submit)
app.command("status", epilog=cluster_runs.STATUS_EPILOG)(cluster_runs.status)
app.command("logs", epilog=cluster_runs.LOGS_EPILOG)(cluster_runs.logs)
app.command("cancel", epilog=cluster_runs.CANCEL_EPILOG)(cluster_runs.cancel)
app.command("schema", epilog=schema.EPILOG)(schema.schema)
app.command("promote", epilog=promote.EPILOG)(promote.promote)
app.command("compile", epilog=compiling.EPILOG)(compiling.compile_)
app.command("bench", epilog=bench.EPILOG)(bench.bench)
app.command("audit", epilog=audit.EPILOG)(audit.audit)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)


def main() -> None:
    """The entry point: errors become one message and an exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for noisy in ("httpx", "fsspec", "asyncio", "aiobotocore", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # From Python 3.12 on it warns of odd escapes in programs of models, which are parsed by heaps.
    warnings.simplefilter("ignore", SyntaxWarning)
    # What a shell puts in the background starts with SIGINT ignored: nothing could end it in order.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except RoundsmithError as error:
        _fail(error)
    except ExceptionGroup as group:
        _fail(_first(group))
    except OSError as error:
        _fail(error)


def _first(error: Exception) -> Exception:
    """What went wrong first in tasks that ran side by side; the others were cancelled for it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno in FORBIDDEN and error.filename:
        _say(
            f"{error.filename}: expected a file or folder that you may read and write, saw "
            f"{error.strerror}: make it so, or name another"
        )
        sys.exit(ConfigError.exit_code)
    if not isinstance(error, RoundsmithError):
        raise error
    _say(str(error))
    sys.exit(error.exit_code)


def _say(message: str) -> None:
    print(f"roundsmith: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
