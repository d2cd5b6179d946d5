"""The commands `roundsmith serve ...`."""

from pathlib import Path
from typing import Annotated

import typer

from roundsmith.commands.groups import grouped
from roundsmith.commands.output import out_option
from roundsmith.commands.serve_options import (
    Admin,
    Engine,
    Listen,
    Model,
    Process,
    Scoring,
    Weights,
)

serve_app = typer.Typer(help="Run services on this machine.", no_args_is_help=True)


@serve_app.command("generator")
@grouped
def serve_generator(
    model: Model,
    listen: Listen,
    admin: Admin,
    weights: Weights,
    process: Process,
    engine: Engine,
) -> None:
    """Serve GeneratorService: prompts in, completions out."""
    from roundsmith.commands.serve import generator

    generator(model, engine, listen, admin, weights, process)


@serve_app.command("scorer")
@grouped
def serve_scorer(
    model: Model,
    listen: Listen,
    admin: Admin,
    weights: Weights,
    process: Process,
    scoring: Scoring,
) -> None:
    """Serve ScorerService: log-probabilities, perplexity, P(yes)."""
    from roundsmith.commands.serve import scorer

    scorer(model, listen, admin, weights, process, scoring)


@serve_app.command("executor")
@grouped
def serve_executor(
    listen: Listen,
    process: Process,
    slots: Annotated[
        int, typer.Option(help="Programs run at once; 0 is one a core of this machine.")
    ] = 0,
    floor: Annotated[
        str | None, typer.Option(help="Refuse to serve below this tier: T1, T2 or T3.")
    ] = None,
    profiles: Annotated[
        list[str] | None,
        typer.Option("--profile", help="Offer only this one and others named so; else all."),
    ] = None,
    pool: Annotated[
        str, typer.Option(help="Where programs run: `local` processes, or sandbox `pods`.")
    ] = "local",
    sandboxes: Annotated[
        str, typer.Option(help="HOST:PORT of the pods' workers; a name of many is spread over.")
    ] = "",
    deployment: Annotated[
        str, typer.Option(help="NAMESPACE/NAME of the pods' Deployment, to scale with the queue.")
    ] = "",
    min_pods: Annotated[int, typer.Option(help="Pods of that Deployment at least.")] = 1,
    max_pods: Annotated[int, typer.Option(help="Pods of that Deployment at most.")] = 1,
) -> None:
    """Serve ExecutorService: untrusted programs in, outcomes out."""
    from roundsmith.commands.serve import executor

    options = {"slots": slots or None, "floor": floor, "pool": pool, "sandboxes": sandboxes}
    options |= {"deployment": deployment, "min_pods": min_pods, "max_pods": max_pods}
    executor({**options, "profiles": tuple(profiles or ())}, listen, process)


@serve_app.command("sandbox-worker")
@grouped
def serve_sandbox_worker(
    socket: Annotated[
        Path, typer.Option(help="Where the sandbox container connects, in a shared directory.")
    ],
    process: Process,
    address: Annotated[str, typer.Option(help="HOST:PORT to listen on.")] = "127.0.0.1:0",
    supervisors: Annotated[int, typer.Option(help="Supervisors at once; more are refused.")] = 32,
) -> None:
    """Serve SandboxService in a sandbox pod: a stream in, a supervisor beside it."""
    from roundsmith.commands.serve import sandbox_worker

    sandbox_worker(address, socket, supervisors, process)


@serve_app.command("pair-builder")
@grouped
def serve_pair_builder(
    listen: Listen,
    process: Process,
    recipes: Annotated[
        list[str] | None,
        typer.Option(help="Packages, folders and files that recipes are loaded from."),
    ] = None,
) -> None:
    """Serve PairBuilderService: groups in, training rows out."""
    from roundsmith.commands.serve import pair_builder

    pair_builder(recipes or ["roundsmith.recipes"], listen, process)


@serve_app.command("all")
def serve_all(
    model: Annotated[str, typer.Option(help="`lab`, a Hugging Face folder, or a hub id.")] = "lab",
    out: Annotated[Path, out_option("Folder of logs and checkpoints.")] = Path("runs/serve"),
) -> None:
    """Serve everything on loopback until Ctrl-C, and print where."""
    from roundsmith.commands.serve import everything

    everything(model, out)
