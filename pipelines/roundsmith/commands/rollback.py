"""`roundsmith rollback`: take the last promotion of a run back."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """Examples:

roundsmith rollback runs/lab --reason "worse on customer tasks"

roundsmith rollback runs/lab --admin 127.0.0.1:41234

Run `roundsmith run` again with more --rounds: the next one begins with what counts now."""


def rollback(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    admin: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of a generator's admin: serve the earlier weights at once."),
    ] = None,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            help="Folder or URL of the checkpoints as that generator sees them.",
            show_default="RUN/work/checkpoints",
        ),
    ] = None,
) -> None:
    """Take the last promotion back: the checkpoint before it counts again, and the next round
    begins there.

    Nothing is removed, and the decision stays on record in RUN/rollbacks.json; remove its entry to
    undo it. With --admin the generator there serves the earlier weights when the command is over.
    """
    import asyncio

    from roundsmith.commands.promotions import take_back
    from roundsmith.commands.run import only_run
    from roundsmith.commands.runs import open_run
    from roundsmith.lineage.history import History

    store = open_run(str(run))
    with only_run(run):
        taken, now = take_back(History(store), run, reason)
    where = f"round {now.round}" if now.round else "the model that the run began with"
    typer.echo(f"taken back: round {taken.round}, weights {taken.weights_sha256}")
    typer.echo(f"counts now: {where}, weights {now.weights_sha256}")
    if admin is not None:
        base = checkpoints or str((run / "work/checkpoints").resolve())
        uri = f"{base.rstrip('/')}/{now.weights_sha256}"
        asyncio.run(_serve(admin, uri, now.weights_sha256))
        typer.echo(f"served now: {uri} at {admin}")


async def _serve(admin: str, uri: str, sha256: str) -> None:
    from roundsmith.clients import GeneratorClient
    from roundsmith.clients.channels import open_channel

    async with open_channel(admin) as channel:
        client = GeneratorClient(channel, channel)
        try:
            await client.reload(uri, sha256)
        finally:
            await client.stream.close()
