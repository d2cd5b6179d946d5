"""`roundsmith verify`: is a run still what it says it is?"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from roundsmith.commands.runs import Run
from roundsmith.errors import ConfigError

if TYPE_CHECKING:
    from roundsmith.lineage.history import History
    from roundsmith.lineage.integrity import Findings

EPILOG = """Examples:

roundsmith verify runs/lab

roundsmith verify s3://bucket/prefix/store --programs 500 --seed 1

Exit code 1 when something differs. Limits of a run are judged by the clock of this machine: on a
slower one a program may end at its limit that did not before."""

SHOWN = 20


def verify(
    run: Run,
    programs: Annotated[
        int, typer.Option(min=0, help="Programs that are run again, drawn at random; 0 for none.")
    ] = 64,
    seed: Annotated[int, typer.Option(help="Which programs are drawn.")] = 0,
    recipes: Annotated[
        list[str] | None, typer.Option(help="Package, folder or file of recipes of your own.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Compute every hash again, choose the rows again, and run a sample of the programs again.

    Nothing is changed. An executor is started for the programs, and ends with the command.
    """
    from roundsmith.commands.progress import error_console
    from roundsmith.commands.runs import open_run
    from roundsmith.lineage import choices, decisions, exports, integrity
    from roundsmith.lineage.history import History
    from roundsmith.lineage.place import summaries
    from roundsmith.steps.config import RECIPES

    store, findings = open_run(run), integrity.Findings()
    with error_console().status("computing hashes"):
        integrity.check_hashes(store, findings)
    if not findings.checked:
        raise ConfigError(
            f"{run}: expected finished work to verify, saw none: let the run finish a step first"
        )
    if not findings.problems:  # what is damaged can not be read, and so not be run again
        history = History(store)
        with error_console().status("comparing the files of the rounds"):
            for summary in summaries(run).values():
                exports.check_round(summary.rpartition("/")[0], history, findings)
        with error_console().status("choosing the rows again"):
            integrity.check_rows(history, findings)
            integrity.check_evaluations(history, findings)
            choices.check_choices(history, (RECIPES, *(recipes or ())), findings)
        with error_console().status("deciding again"):
            decisions.check_decisions(history, findings)
        if programs:
            with error_console().status(f"running {programs} programs again"):
                _run_again(history, programs, seed, findings)
    if json_:
        typer.echo(json.dumps(findings_json(findings), indent=1))
    else:
        _show(findings)
    if findings.problems:
        raise typer.Exit(1)


def findings_json(findings: "Findings") -> dict[str, object]:
    """What was checked, how often, and every problem."""
    from dataclasses import asdict

    return {
        "schema_version": 1,
        "checked": dict(findings.checked),
        "problems": [asdict(problem) for problem in findings.problems],
    }


def _run_again(history: "History", number: int, seed: int, findings: "Findings") -> None:
    """Runs a sample of the programs by an executor that is started for them."""
    import asyncio
    import tempfile
    from pathlib import Path
    from random import Random

    from roundsmith.clients import ExecutorClient
    from roundsmith.clients.channels import open_channel
    from roundsmith.lineage.again import draw, run_again
    from roundsmith.platform.processes import ServiceProcesses

    drawn = draw(history, number, Random(seed))

    async def play(folder: Path) -> None:
        processes = ServiceProcesses(folder)
        try:
            found = await processes.start({"executor": ("--slots", "0")})
            async with open_channel(found["executor"]["address"]) as channel:
                client = ExecutorClient(channel)
                try:
                    await run_again(client, drawn, findings)
                finally:
                    await client.stream.close()
        finally:
            await processes.stop()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))


def _show(findings: "Findings") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    table = Table(title="differs" if findings.problems else "verified")
    table.add_column("what")
    for column in ("checked", "differs"):
        table.add_column(column, justify="right")
    wrong = {name: sum(p.check == name for p in findings.problems) for name in findings.checked}
    for name, count in findings.checked.items():
        table.add_row(name, str(count), Text(str(wrong[name]), "bold red" * bool(wrong[name])))
    console.print(table)
    for problem in findings.problems[:SHOWN]:
        console.print(Text(f"{problem.check}: {problem.where}: {problem.seen}"))
    if len(findings.problems) > SHOWN:
        console.print(f"and {len(findings.problems) - SHOWN} more: --json")
