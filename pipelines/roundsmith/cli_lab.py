"""The commands `roundsmith lab ...`."""

from pathlib import Path
from typing import Annotated

import typer

from roundsmith.commands.output import out_option

lab_app = typer.Typer(help="The built-in world: its tasks, its model.", no_args_is_help=True)


@lab_app.command("train")
def lab_train(
    out: Annotated[Path, out_option("Folder of the model.")] = Path("runs/lab-base"),
    seed: int = 0,
    steps: Annotated[int | None, typer.Option(help="Fewer make a weaker model.")] = None,
    atoms_only: Annotated[
        bool,
        typer.Option(
            "--atoms-only", help="The base of recipe atomic: it sees no chain of functions."
        ),
    ] = False,
) -> None:
    """Train a base model of the lab from a seed: minutes on two cores."""
    from roundsmith.commands.lab import train
    from roundsmith.commands.progress import error_console

    train(out, seed, steps, error_console(), atoms_only)


@lab_app.command("card")
def lab_card(
    model: Annotated[
        str, typer.Option(help="`lab` or a folder of `roundsmith lab train`.")
    ] = "lab",
    split: Annotated[str, typer.Option(help="train, gate or final.")] = "gate",
    limit: Annotated[int | None, typer.Option(help="Tasks at most.")] = None,
    samples: Annotated[int, typer.Option(help="Samples of each task.")] = 8,
    out: Annotated[Path, out_option("Folder of logs.")] = Path("runs/card"),
    json_: Annotated[Path | None, typer.Option("--json", help="Also write the numbers.")] = None,
) -> None:
    """Measure the four skills that the recipes need, through the real services."""
    from rich.console import Console

    from roundsmith.commands.lab import measure, show_card, write_card
    from roundsmith.commands.progress import error_console

    found = measure(model, split, limit, samples, out, error_console())
    show_card(found, Console(highlight=False))
    if json_ is not None:
        write_card(found, json_)


@lab_app.command("tasks")
def lab_tasks(
    split: Annotated[str, typer.Option(help="train, gate or final.")] = "train",
    limit: Annotated[int | None, typer.Option(help="Tasks at most.")] = None,
) -> None:
    """Print the lab's tasks as JSON lines, in the schema of docs/tasks.md."""
    from roundsmith.commands.lab import print_tasks

    print_tasks(split, limit)
