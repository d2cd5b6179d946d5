"""The commands that look at what a run has made."""

import typer

from roundsmith.commands import memory, rollback, trace, verify
from roundsmith.commands.export import PUSH_EPILOG, export_app, push
from roundsmith.commands.store import store_app


def add_commands(app: typer.Typer) -> None:
    """Adds them to the command line."""
    app.command("trace", epilog=trace.EPILOG)(trace.trace)
    app.command("verify", epilog=verify.EPILOG)(verify.verify)
    app.command("memory", epilog=memory.EPILOG)(memory.memory)
    app.command("rollback", epilog=rollback.EPILOG)(rollback.rollback)
    app.add_typer(store_app, name="store")
    app.add_typer(export_app, name="export")
    app.command("push", epilog=PUSH_EPILOG)(push)
