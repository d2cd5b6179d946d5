"""`roundsmith compile`: the round as a Kubeflow pipeline, in kfp's YAML."""

import importlib.metadata
from pathlib import Path
from typing import Annotated

import typer

from roundsmith.commands import options

EPILOG = """Examples:

roundsmith compile --recipe gift --output gift.yaml

roundsmith compile --recipe rft --model org/name --tasks /data/mbpp.jsonl --image registry/x:1

Then upload the file in the Kubeflow UI, or by kfp's client. A run asks there for `store`, the
storage root, and `services`, where they listen: `roundsmith serve all` prints that JSON."""


def compile_(
    recipe: options.Recipe = None,
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
    model: options.Model = None,
    tasks: options.Tasks = None,
    limit: options.Limit = None,
    eval_limit: options.EvalLimit = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="lab, laptop or paper. By default lab for the lab's model and paper for others."
        ),
    ] = None,
    config: options.ConfigFile = None,
    set_: options.Setting = None,
    recipes: options.Recipes = None,
    rounds: options.Rounds = None,
    seed: options.Seed = None,
    control: options.Control = None,
    skip_bad_rows: options.SkipBadRows = False,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Write a round as a Kubeflow pipeline: the same steps in the same order as `run`.

    Each step is a task of its own; they hand each other references into the storage root. Models,
    task files and recipes are named as the image sees them. A task that is retried finds what was
    finished; so does a second run of the same settings in the same storage root.
    """
    given = options.fields(
        recipe=recipe,
        model=model,
        tasks=tasks,
        limit=limit,
        eval_limit=eval_limit,
        rounds=rounds,
        seed=seed,
        control=control,
        skip_bad_rows=skip_bad_rows,
        revision=revision,
        trust_remote_code=trust_remote_code,
        recipes=recipes,
    )
    from roundsmith.commands.run import check, preset_elsewhere
    from roundsmith.platform.pipeline import compile_pipeline
    from roundsmith.presets import run_config

    settings = run_config(preset or preset_elsewhere, config, given, set_ or [])
    check(settings)
    number = settings.rounds if round_ is None else round_
    name = image or f"roundsmith:{importlib.metadata.version('roundsmith')}"
    compile_pipeline(settings, number, name, output)
    typer.echo(f"{output}: round {number} of {settings.rounds} of {settings.recipe}, image {name}")
