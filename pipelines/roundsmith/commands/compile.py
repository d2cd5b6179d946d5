"""`roundsmith compile`: the round as a Kubeflow pipeline, as YAML or Kubernetes objects."""

import importlib.metadata
from pathlib import Path
from typing import Annotated

import typer

from roundsmith.commands.pipeline_options import (
    image_option,
    pull_secret_option,
    storage_secret_option,
    tls_secret_option,
    token_option,
)
from roundsmith.errors import ConfigError

EPILOG = """Examples:

roundsmith compile --release roundsmith --output pipeline.yaml

roundsmith compile --image registry/roundsmith-control:0.1.0 --manifests --output objects.yaml

roundsmith compile --release roundsmith --pipelines http://localhost:8888

Upload the first in the Kubeflow UI, or start a round with: roundsmith submit --pipelines HOST. The
second is for `kubectl apply`, where pipelines are stored as Kubernetes objects. The third uploads
it, as the chart does with pipelines.upload."""

UPLOAD = "To Kubeflow Pipelines"


def compile_(
    output: Annotated[
        Path, typer.Option(help="The file to write; ends in .yaml, .yml or .json.")
    ] = Path("pipeline.yaml"),
    image: Annotated[str, image_option()] = "",
    release: Annotated[
        str, typer.Option(help="The installation of the chart in the namespace of the runs.")
    ] = "roundsmith",
    storage_secret: Annotated[str, storage_secret_option()] = "",
    tls_secret: Annotated[str, tls_secret_option()] = "",
    pull_secret: Annotated[list[str] | None, pull_secret_option()] = None,
    manifests: Annotated[
        bool, typer.Option("--manifests", help="Write objects: Pipeline and PipelineVersion.")
    ] = False,
    pipelines: Annotated[
        str | None,
        typer.Option(help="Its API: upload the file there, too.", rich_help_panel=UPLOAD),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            help="What the pipeline is called, uploaded or as an object.",
            show_default="the release",
        ),
    ] = "",
    namespace: Annotated[
        str,
        typer.Option(help="Whose it is, where Kubeflow has several users.", rich_help_panel=UPLOAD),
    ] = "roundsmith",
    token: Annotated[str, token_option(UPLOAD)] = "",
) -> None:
    """Write a round as a Kubeflow pipeline: the same order and the same rows as `run`.

    A run plays one round and submits the next. What is played a person says in the Kubeflow UI: the
    parameters have descriptions and defaults, and the first task refuses what can not be. Each
    task finds in the storage what was finished, so that it may be retried at any time.

    With --pipelines the file is uploaded as a version called by its content: again does nothing.
    With --manifests the PipelineVersion is called so, because Kubernetes lets none change.
    """
    from roundsmith.platform.pipeline import Installed, compile_pipeline

    if manifests and pipelines is not None:
        raise ConfigError(
            "--manifests: expected a pipeline to upload with --pipelines, saw objects asked for, "
            "which are for `kubectl apply`: leave one of the two out"
        )
    chosen = image or default_image()
    installed = Installed.of(release, chosen, storage_secret, tls_secret, pull_secret or ())
    called = name or release
    compile_pipeline(installed, output, called if manifests else "")
    typer.echo(f"{output}: a round of {release}, image {chosen}")
    if pipelines is not None:
        from roundsmith.platform.pipelines_api import PipelinesApi

        version, new = PipelinesApi(pipelines, namespace, token).deliver(output, called)
        typer.echo(f"{pipelines}: {version} {'is uploaded' if new else 'is there already'}")


def default_image() -> str:
    """The image that `make images` builds of this version."""
    return f"roundsmith-control:{importlib.metadata.version('roundsmith')}"
