"""`roundsmith doctor`: whether a round can run on this machine, and what to do where it can not."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """Examples:

roundsmith doctor

roundsmith doctor --json | jq '.[] | select(.ok | not)'

roundsmith doctor --cluster /etc/roundsmith/cluster.json"""


def doctor(
    json_: Annotated[bool, typer.Option("--json", help="Print the checks as a JSON list.")] = False,
    cluster: Annotated[
        Path | None,
        typer.Option(help="Check the services that this JSON of the chart names, not the machine."),
    ] = None,
    patience: Annotated[
        float, typer.Option(help="Seconds that a service of --cluster may take to answer.")
    ] = 30.0,
) -> None:
    """Check this machine: packages, memory, disk, model, isolation of programs, ports, GPU.

    The isolation is tried for real: a program attempts what it must not do. Exit code 1 when a
    check is not ok. A GPU, the hub and Kubeflow are optional; their checks only inform.

    With --cluster, inside of a cluster, each service is asked for its health and for some work.
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from roundsmith.platform.checks import checks

    if cluster is None:
        found = checks()
    else:
        from roundsmith.platform.cluster_config import ClusterConfig
        from roundsmith.platform.service_checks import service_checks

        found = asyncio.run(service_checks(ClusterConfig.read(cluster).endpoints, patience))
    if json_:
        typer.echo(json.dumps([asdict(check) for check in found], indent=2))
    else:
        console = Console(highlight=False)
        table = Table()
        for column in ("check", "", "seen", "to do"):
            table.add_column(column, overflow="fold")
        for check in found:
            mark = Text("ok", "green") if check.ok else Text("no", "bold red")
            table.add_row(check.name, mark, Text(check.detail), Text(check.remedy))
        console.print(table)
    if not all(check.ok for check in found):
        raise typer.Exit(1)
