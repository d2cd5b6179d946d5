"""The folder of a run, as the commands that look at one take it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from roundsmith.store import Store

Run = Annotated[
    str,
    typer.Argument(
        help="Folder of a run, or the URL of a store, such as s3://bucket/prefix/store."
    ),
]
RunOption = Annotated[
    str,
    typer.Option(
        "--run", help="Folder of a run, or the URL of a store, such as s3://bucket/prefix/store."
    ),
]


def open_run(run: str) -> "Store":
    """The store of a run's folder, or of a URL. Raises ConfigError where there is none."""
    from roundsmith.errors import ConfigError
    from roundsmith.lineage.meant import named, near_runs
    from roundsmith.store import Store

    if "://" in run:
        return Store(run)
    folder = Path(run)
    store = folder / "store" if (folder / "store").is_dir() else folder
    if not (store / "manifests").is_dir():
        near = near_runs(folder)
        raise ConfigError(
            f"{run}: expected the folder of a run (with `store` in it) or a store, saw neither: "
            f"give the --out of a run, or the URL of its store{f'; {named(near)}' if near else ''}"
        )
    return Store(str(store))
