"""`roundsmith audit`: whether the tests of tasks pass what is right and notice what is wrong."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roundsmith.commands import options

if TYPE_CHECKING:
    from roundsmith.benchmarks.strength import Strength

EPILOG = """Examples:

roundsmith audit tasks.jsonl

roundsmith audit HumanEval.jsonl.gz --json strength.json"""
_SHOWN = 12


def audit(
    tasks: Annotated[str, typer.Argument(help="`lab`, or a file of tasks.")],
    limit: Annotated[int | None, typer.Option(help="Tasks at most.")] = None,
    cpu: Annotated[float, typer.Option(help="CPU seconds a test may take.")] = 20.0,
    json_: Annotated[Path | None, typer.Option("--json", help="Also write the numbers.")] = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Run each task's reference on its own tests, and programs that are almost right.

    A task whose reference fails is broken. Of the impostors, those with a sentinel or another type
    for the answer should all be caught; how many near misses are says how sharp the tests are.
    Exit code 1 when a reference fails.
    """
    from rich.console import Console

    from roundsmith.benchmarks.load import load_tasks
    from roundsmith.storage import make_output_folder

    if json_ is not None:
        make_output_folder(json_.parent, "--json")
    loaded = load_tasks(tasks, skip_bad_rows=skip_bad_rows).tasks[:limit]
    found = asyncio.run(_strengths(loaded, cpu))
    _print(found, len(loaded), Console(highlight=False))
    if json_ is not None:
        json_.write_text(json.dumps(summary(found), indent=2) + "\n")
    if any(strength.broken for strength in found):
        raise typer.Exit(1)


def summary(found: Sequence["Strength"]) -> dict[str, Any]:
    """The numbers of an audit, as JSON takes them."""
    from roundsmith.executor.impostors import Impostor

    impostors = {}
    for kind in Impostor:
        missed = [s.task_id for s in found if s.caught.get(kind) is False]
        tasks = sum(kind in strength.caught for strength in found)
        rate = (tasks - len(missed)) / tasks if tasks else None
        impostors[kind.value] = {"tasks": tasks, "rate": rate, "not_caught": missed}
    return {
        "references": len(found),
        "broken": {strength.task_id: strength.broken for strength in found if strength.broken},
        "truth_only": [strength.task_id for strength in found if strength.truth_only],
        "impostors": impostors,
    }


async def _strengths(tasks: Sequence[Any], cpu_s: float) -> list["Strength"]:
    from rich.progress import Progress

    from roundsmith.benchmarks.strength import strengths
    from roundsmith.commands.progress import error_console
    from roundsmith.executor.pool import Pool
    from roundsmith.executor.settings import ExecutorSettings
    from roundsmith.types import Limits

    async with Pool(ExecutorSettings()) as pool:
        with Progress(console=error_console()) as progress:
            bar = progress.add_task("tasks", total=sum(t.reference is not None for t in tasks))
            return await strengths(tasks, pool, Limits(cpu_s=cpu_s), lambda: progress.advance(bar))


def _print(found: Sequence["Strength"], tasks: int, console: Any) -> None:
    from rich.table import Table

    numbers = summary(found)
    passed = len(found) - len(numbers["broken"])
    console.print(f"{passed} of {len(found)} references pass their own tests ({tasks} tasks)")
    for task_id, why in numbers["broken"].items():
        console.print(f"  {task_id}: {why}", markup=False)
    table = Table()
    for column in ("answers", "tasks", "caught", "not caught"):
        table.add_column(column, overflow="fold")
    for kind, row in numbers["impostors"].items():
        names = row["not_caught"]
        more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
        caught = "" if row["rate"] is None else f"{100 * row['rate']:.1f} %"
        table.add_row(kind, str(row["tasks"]), caught, ", ".join([*names[:_SHOWN], *more]))
    console.print(table)
