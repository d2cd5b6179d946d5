"""`roundsmith doctor`: whether a round can run on this machine, and what to do where it can not."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from roundsmith.platform.checks import Check
    from roundsmith.platform.cluster_config import ClusterConfig

EPILOG = """Examples:

roundsmith doctor

roundsmith doctor --json | jq '.[] | select(.ok | not)'

roundsmith doctor --release roundsmith --namespace ml

roundsmith doctor --cluster /etc/roundsmith/cluster.json"""


HELD_S = 60.0
"""How long the pod that looks may be kept from beginning: an image is asked for again meanwhile."""


def doctor(
    json_: Annotated[bool, typer.Option("--json", help="Print the checks as a JSON list.")] = False,
    cluster: Annotated[
        Path | None,
        typer.Option(
            help="Check the cluster that this JSON of the chart tells of, not the machine; inside "
            "of it."
        ),
    ] = None,
    runs: Annotated[
        bool,
        typer.Option(
            "--runs", help="With --cluster: also what runs need of it, in a pod as they have it."
        ),
    ] = False,
    release: Annotated[
        str | None,
        typer.Option(help="Check the cluster of this installation, from a pod as runs have it."),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(help="Where the installation is.", show_default="roundsmith"),
    ] = None,
    patience: Annotated[
        float, typer.Option(help="Seconds that a service of --cluster may take to answer.")
    ] = 30.0,
) -> None:
    """Check this machine: packages, memory, disk, model, isolation of programs, ports, GPU.

    The isolation is tried for real: a program attempts what it must not do. Exit code 1 when a
    check is not ok. A GPU, the hub and Kubeflow are optional; their checks only inform.

    With --release, the cluster is looked at from a pod as runs have it, before a GPU is asked for:
    kinds and versions, permissions, storage, isolation of programs, GPUs; and each service is asked
    for its health and for some work. Nodes, queues and PriorityClasses, which that pod may not see,
    are looked at with the kubeconfig of this machine. With --cluster services are asked from here,
    with --runs too all is looked at.
    """
    from roundsmith.platform.checks import checks

    _refuse_what_is_not_looked_at(release, namespace, cluster, runs)
    if release is not None:
        found = _in_a_pod(release, namespace or "roundsmith")
    elif cluster is None:
        found = checks()
    else:
        from roundsmith.platform.cluster_config import ClusterConfig

        found = asyncio.run(_cluster(ClusterConfig.read(cluster), patience, runs))
    _show(found, json_)
    if not all(check.ok for check in found):
        raise typer.Exit(1)


def _refuse_what_is_not_looked_at(
    release: str | None, namespace: str | None, cluster: Path | None, runs: bool
) -> None:
    """Raises ConfigError for an option that would be left out: this machine may be well, and the
    cluster not.
    """
    from roundsmith.errors import ConfigError

    for option, given, wanted, there in (
        (f"--namespace {namespace}", namespace is not None, "--release", release is not None),
        (f"--cluster {cluster}", cluster is not None, "no --release", release is None),
        ("--runs", runs, "--cluster", cluster is not None),
    ):
        if given and not there:
            raise ConfigError(
                f"{option}: expected {wanted} with it, saw {release or 'none'}: name the "
                "installation by --release and --namespace, or its JSON by --cluster"
            )


def _show(found: "list[Check]", as_json: bool) -> None:
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if as_json:
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


async def _cluster(cluster: "ClusterConfig", patience: float, runs: bool) -> "list[Check]":
    """What is looked at on a cluster: its services, and with `runs` what runs need beside them."""
    from roundsmith.platform.cluster_checks import cluster_checks, isolation
    from roundsmith.platform.service_checks import serve_check, service_checks

    services = await service_checks(cluster.endpoints, patience)
    if cluster.serve.runtime == "roundsmith":
        services.append(await serve_check(cluster.serve.endpoint, cluster.endpoints.tls, patience))
    if not runs:
        return services
    seen = await asyncio.to_thread(cluster_checks, cluster)
    return [*seen, *services, await isolation(cluster)]


def _in_a_pod(release: str, namespace: str) -> "list[Check]":
    """What is seen from a pod of the installation, and what only who installed it may see."""
    from roundsmith.commands.installation import find_installation
    from roundsmith.commands.submit import say
    from roundsmith.errors import PlatformError
    from roundsmith.platform.checks import Check
    from roundsmith.platform.cluster_checks import explained, scheduling
    from roundsmith.platform.control_job import DOCTOR, doctor_job, job_name, submit_job
    from roundsmith.platform.followed_run import Followed, Held
    from roundsmith.platform.kubernetes_api import KubernetesApi

    api = KubernetesApi(namespace)
    cluster, owner = find_installation(api, release)
    name = job_name(release, DOCTOR)
    here = {check.name: check for check in scheduling(api, cluster)}
    submit_job(api, doctor_job(cluster, name, owner))
    printed: list[str] = []
    followed = Followed(api, name, show=printed.append, warn=say, held_s=HELD_S)
    try:
        code = followed.to_its_end()
    except Held as held:
        api.delete("jobs", name)
        remedy = "mend that: no pod of a run begins either; what is looked at in it comes then"
        return [Check("pod", False, str(held), remedy), *here.values()]
    if "[" not in printed or "]" not in printed:
        told = "\n".join(printed)
        raise PlatformError(
            f"job {name}: expected its pod to print what it saw, saw exit code {code}: mend what "
            f"it says, or use the image of this release\n{told}"
        )
    # Between those lines alone is the JSON: others may have been logged beside it.
    listed = printed[printed.index("[") : printed.index("]") + 1]
    there = {told["name"]: Check(**told) for told in json.loads("\n".join(listed))}
    return explained(cluster, list((there | here).values()))
