"""The folder of a run, as the commands that look at one take it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from roundsmith.store import Store

Run = Annotated[
    str,
    typer.Argument(
        help="Folder or URL of a run or of a store, such as s3://bucket/prefix/runs/NAME."
    ),
]
RunOption = Annotated[
    str,
    typer.Option(
        "--run", help="Folder or URL of a run or of a store, such as s3://bucket/prefix/runs/NAME."
    ),
]


def open_run(run: str) -> "Store":
    """The store of a run, or at a place itself. Raises ConfigError where there is none."""
    from roundsmith.errors import ConfigError
    from roundsmith.lineage.meant import named, near_runs
    from roundsmith.lineage.place import is_url, refuse_nothing, store_of
    from roundsmith.store import Store

    store = store_of(run)
    if store is None and is_url(run):
        raise refuse_nothing(run)
    if store is None:
        near = near_runs(Path(run))
        raise ConfigError(
            f"{run}: expected the folder of a run (with `store` in it) or a store, saw neither: "
            f"give the --out of a run, or the URL of its store{f'; {named(near)}' if near else ''}"
        )
    return Store(store)
