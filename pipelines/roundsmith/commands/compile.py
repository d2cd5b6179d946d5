"""`roundsmith compile`: the round as a Kubeflow pipeline, in kfp's YAML."""

import importlib.metadata
from pathlib import Path
from typing import Annotated

import typer

from roundsmith.commands import options
from roundsmith.commands.groups import grouped

EPILOG = """Examples:

roundsmith compile --recipe gift --output gift.yaml

roundsmith compile --recipe rft --model org/name --tasks /data/mbpp.jsonl --image registry/x:1

Then upload the file in the Kubeflow UI, or by kfp's client. A run asks there for `store`, the
storage root, and `services`, where they listen: `roundsmith serve all` prints that JSON."""


@grouped
def compile_(
    choice: options.Choice,
    output: Annotated[
        Path, typer.Option(help="The file to write; ends in .yaml, .yml or .json.")
    ] = Path("pipeline.yaml"),
    image: Annotated[
        str,
        typer.Option(
            help="Image that the steps run in: Roundsmith with the extras local and cluster.",
            show_default="roundsmith:VERSION",
        ),
    ] = "",
    round_: Annotated[
        int | None,
        typer.Option(
            "--round",
            help="Which of --rounds the pipeline is for: only the last evaluates on final.",
            show_default="the last",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="lab, laptop or paper. By default lab for the lab's model and paper for others."
        ),
    ] = None,
) -> None:
    """Write a round as a Kubeflow pipeline: the same steps in the same order as `run`.

    Each step is a task of its own; they hand each other references into the storage root. Models,
    task files and recipes are named as the image sees them. A task that is retried finds what was
    finished; so does a second run of the same settings in the same storage root.
    """
    from roundsmith.commands.run import check, preset_elsewhere
    from roundsmith.platform.pipeline import compile_pipeline

    settings = choice.settings(preset or preset_elsewhere)
    check(settings)
    number = settings.rounds if round_ is None else round_
    name = image or f"roundsmith:{importlib.metadata.version('roundsmith')}"
    compile_pipeline(settings, number, name, output)
    typer.echo(f"{output}: round {number} of {settings.rounds} of {settings.recipe}, image {name}")
