"""`roundsmith rollback`: take the last promotion of a run back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from roundsmith.commands.promotions import Current
    from roundsmith.store import Store

EPILOG = """Examples:

roundsmith rollback runs/lab --reason "worse on customer tasks"

roundsmith rollback runs/lab --admin 127.0.0.1:41234

roundsmith rollback s3://bucket/prefix/runs/NAME --reason "worse on customer tasks"

Run `roundsmith run`, or `roundsmith submit`, again with more --rounds: the next one begins with
what counts now."""


def rollback(
    run: Annotated[
        str,
        typer.Argument(help="Folder of a run, or its URL, such as s3://bucket/prefix/runs/NAME."),
    ],
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    admin: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of a generator's admin: serve the earlier weights at once."),
    ] = None,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            help="Folder or URL of the checkpoints as that generator sees them.",
            show_default="RUN/work/checkpoints; of a URL, checkpoints of its storage root",
        ),
    ] = None,
) -> None:
    """Take the last promotion back: the checkpoint before it counts again, and the next round
    begins there.

    Nothing is removed, and the decision stays on record in RUN/rollbacks.json; remove its entry to
    undo it. With --admin the generator there serves the earlier weights when the command is over;
    where it does not take them, nothing is taken back, and the same command can be given again.
    """
    import asyncio

    from roundsmith.commands.promotions import take_back
    from roundsmith.commands.run import only_run
    from roundsmith.commands.runs import open_run
    from roundsmith.lineage.history import History
    from roundsmith.lineage.place import is_url
    from roundsmith.store.leases import taking_back

    store = open_run(run)
    if is_url(run):
        _refuse_a_chain(run.rstrip("/"))
    base = (checkpoints or _checkpoints(run.rstrip("/"))).rstrip("/")

    def serve(now: "Current") -> None:
        if admin is not None:
            if checkpoints is None and not is_url(run):
                _fetch(store, now, Path(base))
            asyncio.run(_serve(admin, f"{base}/{now.weights_sha256}", now.weights_sha256))

    # What holds a folder can not hold a URL: there a run under way goes on as it began.
    with taking_back(store.url) if is_url(run) else only_run(Path(run)):
        taken, now = take_back(History(store), run, reason, serve)
    where = f"round {now.round}" if now.round else "the model that the run began with"
    typer.echo(f"taken back: round {taken.round}, weights {taken.weights_sha256}")
    typer.echo(f"counts now: {where}, weights {now.weights_sha256}")
    if admin is not None:
        typer.echo(f"served now: {base}/{now.weights_sha256} at {admin}")


def _fetch(store: "Store", now: "Current", folder: Path) -> None:
    """A copy of the model that counts, where the run's own is gone: it keeps a few."""
    made = store.manifest(*now.manifest.split("/"))
    folder.mkdir(parents=True, exist_ok=True)
    model = store.folder(made.of_kind("folder")[0])
    store.fetch_folder(model, folder / now.weights_sha256)


def _checkpoints(run: str) -> str:
    """Where the checkpoints of a run are, whose store exists."""
    from roundsmith.lineage.place import is_url, root_of

    return (
        f"{root_of(run)}/checkpoints"
        if is_url(run)
        else str(Path(run, "work/checkpoints").resolve())
    )


def _refuse_a_chain(run: str) -> None:
    """Raises ConfigError for a chain of runs of Kubeflow Pipelines: each of its rounds begins with
    what the one before has written down.
    """
    from roundsmith.errors import ConfigError
    from roundsmith.lineage.place import root_of
    from roundsmith.storage import read_file

    name = run.rpartition("/")[2]
    if read_file(f"{root_of(run)}/chains/{name}/settings.json") is not None:
        raise ConfigError(
            f"{run}: expected a run of `roundsmith submit`, saw a chain of Kubeflow Pipelines, "
            "whose next round is settled: `roundsmith promote --back` serves what was before, and "
            f"`roundsmith cancel {name} --pipelines URL --storage {root_of(run)}` ends the chain"
        )


async def _serve(admin: str, uri: str, sha256: str) -> None:
    from roundsmith.clients import GeneratorClient
    from roundsmith.clients.channels import open_channel

    async with open_channel(admin) as channel:
        client = GeneratorClient(channel, channel)
        try:
            await client.reload(uri, sha256)
        finally:
            await client.stream.close()
