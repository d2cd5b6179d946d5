"""`roundsmith store`: what is kept, and what may go."""

from pathlib import Path
from typing import Annotated

import typer

from roundsmith.commands.runs import Run

store_app = typer.Typer(help="What a run's store holds, and what may go.", no_args_is_help=True)


@store_app.command()
def gc(
    run: Run,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; else it is only told.")] = False,
    only_promoted: Annotated[
        bool,
        typer.Option(
            help="Also forget finished work that no promoted checkpoint and no last report needs."
        ),
    ] = False,
    grace_h: Annotated[
        float, typer.Option(min=0, help="Hours that an object of unfinished work is kept.")
    ] = 24.0,
) -> None:
    """Remove objects that no finished work needs: what kills, changed settings and damage left.

    Nothing that a promoted checkpoint rests on is ever removed, rolled back or not. A run in the
    same folder must not be going on; where the store is at a URL, nobody checks that for you.
    """
    from contextlib import nullcontext

    from roundsmith.commands.promotions import keeps
    from roundsmith.commands.run import only_run
    from roundsmith.commands.runs import open_run
    from roundsmith.lineage.history import History
    from roundsmith.store.gc import collect, garbage

    store, folder = open_run(run), Path(run)
    held = only_run(folder) if (folder / "store").is_dir() else nullcontext()
    with held:
        roots = keeps(History(store)) if only_promoted else None
        found = garbage(store, roots, grace_h * 3600)
        if yes:
            collect(store, found)
    verb = "removed" if yes else "would remove (--yes removes it)"
    typer.echo(
        f"{verb}: {len(found.objects)} objects of {found.bytes / 1e6:.1f} MB, "
        f"{len(found.manifests)} pieces of finished work"
    )
