"""What `compile` and `submit` are told of a pipeline's tasks: options of typer, each for a panel of
the command's help.
"""

from typing import Any

import typer


def image_option(panel: str | None = None) -> Any:
    """What the tasks run in."""
    return typer.Option(
        help="Image that the tasks run in: Roundsmith with the extra cluster.",
        show_default="roundsmith-control:VERSION",
        rich_help_panel=panel,
    )


def storage_secret_option(panel: str | None = None) -> Any:
    """Where the storage's keys are."""
    return typer.Option(
        help="The Secret with the storage's keys; it need not be there.",
        show_default="RELEASE-storage, the chart's",
        rich_help_panel=panel,
    )


def tls_secret_option(panel: str | None = None) -> Any:
    """Where the certificate is that the tasks show."""
    return typer.Option(
        help="The Secret with the certificate of rounds; it need not be there.",
        show_default="RELEASE-client-tls, the chart's",
        rich_help_panel=panel,
    )


def pull_secret_option(panel: str | None = None) -> Any:
    """By what the image is pulled."""
    return typer.Option(
        "--pull-secret",
        help="A Secret that the image is pulled with; may be repeated.",
        rich_help_panel=panel,
    )


def token_option(panel: str | None = None) -> Any:
    """What a platform of several users is shown."""
    return typer.Option(
        help="A file with the token to show, where Kubeflow has several users.",
        rich_help_panel=panel,
    )
