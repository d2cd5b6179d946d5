"""`roundsmith compile`: the round as a Kubeflow pipeline, as YAML or Kubernetes objects."""

import importlib.metadata
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """Examples:

roundsmith compile --release roundsmith --output pipeline.yaml

roundsmith compile --image registry/roundsmith-control:0.1.0 --manifests --output objects.yaml

Upload the first in the Kubeflow UI, or start a round with: roundsmith submit --pipelines HOST. The
second is for `kubectl apply`, where pipelines are stored as Kubernetes objects."""

Image = Annotated[
    str,
    typer.Option(
        help="Image that the tasks run in: Roundsmith with the extra cluster.",
        show_default="roundsmith-control:VERSION",
    ),
]
Secret = Annotated[
    str,
    typer.Option(
        help="The Secret with the storage's keys; it need not be there.",
        show_default="RELEASE-storage, the chart's",
    ),
]


def compile_(
    output: Annotated[
        Path, typer.Option(help="The file to write; ends in .yaml, .yml or .json.")
    ] = Path("pipeline.yaml"),
    image: Image = "",
    release: Annotated[
        str, typer.Option(help="The installation of the chart in the namespace of the runs.")
    ] = "roundsmith",
    storage_secret: Secret = "",
    manifests: Annotated[
        bool, typer.Option("--manifests", help="Write objects: Pipeline and PipelineVersion.")
    ] = False,
) -> None:
    """Write a round as a Kubeflow pipeline: the same order and the same rows as `run`.

    A run plays one round and submits the next. What is played a person says in the Kubeflow UI: the
    parameters have descriptions and defaults, and the first task refuses what can not be. Each
    task finds in the storage what was finished, so that it may be retried at any time.
    """
    from roundsmith.platform.pipeline import Installed, compile_pipeline

    chosen = image or default_image()
    compile_pipeline(Installed.of(release, chosen, storage_secret), output, manifests=manifests)
    typer.echo(f"{output}: a round of {release}, image {chosen}")


def default_image() -> str:
    """The image that `make images` builds of this version."""
    return f"roundsmith-control:{importlib.metadata.version('roundsmith')}"
