"""`roundsmith trace`: where a row comes from, and what it went into."""

import json
from typing import Annotated

import typer

from roundsmith.commands.runs import RunOption

WIDTH = 124
"""Columns of the tree where no terminal says how many; a hash fits with its branch."""
EPILOG = """Examples:

roundsmith trace 3f0c1a9b --run runs/lab

roundsmith trace lab/flatten+differences+mean --run s3://bucket/prefix/store --json

HASH is the id of a row (data/rows-*.parquet), of a sample (report.html, data/groups-*.parquet), of
weights (summary.json), of a manifest or an object; a task goes by its own id."""


def trace(
    hash_: Annotated[
        str, typer.Argument(metavar="HASH", help="Of a row, sample, weights or step; or a task.")
    ],
    run: RunOption = "runs/run",
    json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Walk from a training row back to its prompt and weights, and forward to its checkpoints.

    Everything that is read on the way has its hash checked.
    """
    from rich.console import Console

    from roundsmith.commands.promotions import rolled_back
    from roundsmith.commands.runs import open_run
    from roundsmith.commands.show_trace import trace_json, trace_tree
    from roundsmith.lineage.history import History
    from roundsmith.lineage.trace import trace as walk

    found = walk(History(open_run(run)), hash_, rolled_back(run))
    if json_:
        typer.echo(json.dumps(trace_json(found), indent=1, ensure_ascii=False))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = WIDTH
        console.print(trace_tree(found))
