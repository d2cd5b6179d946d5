"""The commands that look at what a run has made."""

import typer

from roundsmith.commands import trace, verify


def add_commands(app: typer.Typer) -> None:
    """Adds them to the command line."""
    app.command("trace", epilog=trace.EPILOG)(trace.trace)
    app.command("verify", epilog=verify.EPILOG)(verify.verify)
