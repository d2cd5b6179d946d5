"""`roundsmith store`: what is kept, and what may go."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
        float,
        typer.Option(
            min=0,
            help="Hours that an object of unfinished work is kept, and at a URL finished work.",
        ),
    ] = 24.0,
) -> None:
    """Remove objects that no finished work needs: what kills, changed settings and damage left.

    Nothing that a promoted checkpoint rests on is ever removed, rolled back or not. A run in the
    same folder must not be going on. Where the store is at a URL, runs of other machines may be:
    there --only-promoted leaves what was finished within the grace.
    """
    from roundsmith.commands.promotions import keeps
    from roundsmith.commands.runs import open_run
    from roundsmith.lineage.history import History
    from roundsmith.store.gc import collect, garbage
    from roundsmith.store.leases import removing

    store = open_run(run)
    with _still(run) as still, removing(store.url) if yes else nullcontext():
        roots = keeps(History(store)) if only_promoted else None
        grace_s = grace_h * 3600
        found = garbage(store, roots, grace_s, 0.0 if still else grace_s)
        if yes:
            collect(store, found)
    verb = "removed" if yes else "would remove (--yes removes it)"
    typer.echo(
        f"{verb}: {len(found.objects)} objects of {found.bytes / 1e6:.1f} MB, "
        f"{len(found.manifests)} pieces of finished work"
    )


@store_app.command()
def mend(run: Run) -> None:
    """Take back finished work whose objects are damaged, so that the next run makes it anew.

    Computes every hash. A run that reads a damaged object takes back what names it by itself; this
    does so with all that are damaged, also where no step reads them any more. A run in the same
    folder must not be going on; in a store at a URL none begins meanwhile, and one under way may
    have to be given again.
    """
    from roundsmith.commands.runs import open_run
    from roundsmith.store.leases import removing

    store, objects, references = open_run(run), 0, set[str]()
    with _still(run), removing(store.url):
        for damage in list(store.damages()):
            lost = [manifest.reference for manifest in store.forget(damage.sha256)]
            typer.echo(f"{damage.sha256} is damaged; taken back: {', '.join(lost) or 'nothing'}")
            objects, references = objects + 1, references | set(lost)
    typer.echo(
        f"damaged: {objects} objects; taken back: {len(references)} pieces of finished work"
        + ("; run again, they are made anew" if objects else "")
    )


@contextmanager
def _still(run: str) -> Iterator[bool]:
    """Holds the folder of the run whose store this is, named by either; whether that keeps every
    run from writing there. A store at a URL may have others, and one that is in no run's folder
    has none that could be held.
    """
    from roundsmith.commands.run import only_run

    folder = Path(run.removeprefix("file://")).resolve()
    if "://" in run and not run.startswith("file://"):
        yield False
    elif (folder / "store").is_dir() or folder.name == "store":
        with only_run(folder if (folder / "store").is_dir() else folder.parent):
            yield "://" not in run
    else:
        yield False
