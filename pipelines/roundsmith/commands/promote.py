"""`roundsmith promote`: what others are served on a cluster, from here or in a pod of it."""

from pathlib import Path
from typing import Annotated

import typer

from roundsmith.commands.submit import say
from roundsmith.errors import ConfigError

EPILOG = """Examples:

roundsmith promote first --round 2 --namespace ml

roundsmith promote --back --namespace ml

A run does the first by itself when the gate promotes its checkpoint."""


def promote(
    run: Annotated[
        str, typer.Argument(help="The run whose checkpoint is served.", show_default=False)
    ] = "",
    round_: Annotated[int, typer.Option("--round", help="Its round.")] = 1,
    back: Annotated[
        bool, typer.Option("--back", help="Serve what was served before the last promotion.")
    ] = False,
    namespace: Annotated[str, typer.Option(help="Where the chart is installed.")] = "roundsmith",
    release: Annotated[str, typer.Option(help="The name of its installation.")] = "roundsmith",
    cluster: Annotated[
        Path | None,
        typer.Option(help="In a pod of it: the JSON of the ConfigMap that the chart writes."),
    ] = None,
) -> None:
    """Serve the promoted checkpoint of a round to others, with no failed request, or take it back.

    The installation must have serve.enabled=true or name a Model Registry, where the checkpoint is
    entered, too. From outside it is done by a Job. A run without a cluster needs none of it: its
    promoted checkpoint is in OUT/round-N/checkpoint.
    """
    if bool(run) == back:
        raise ConfigError(
            f"expected the name of a run or --back, saw {'both' if run else 'neither'}: give one"
        )
    if cluster is not None:
        _in_pod(cluster, run, round_, back)
        return
    options = ["--back"] if back else [run, "--round", str(round_)]
    raise typer.Exit(_by_job(namespace, release, options))


def _in_pod(file: Path, run: str, number: int, back: bool) -> None:
    from roundsmith.platform.cluster_config import ClusterConfig
    from roundsmith.platform.handing_on import hand_on_by_hand
    from roundsmith.platform.promoting import take_back

    where = ClusterConfig.read(file)
    if back:
        served = take_back(where)
        typer.echo(f"served to others: {served.uri} ({served.origin})")
        return
    for line in hand_on_by_hand(where, f"{where.run(run)}/round-{number}"):
        typer.echo(line)


def _by_job(namespace: str, release: str, options: list[str]) -> int:
    from roundsmith.commands.installation import find_installation
    from roundsmith.platform.control_job import submit_job
    from roundsmith.platform.followed_run import Followed
    from roundsmith.platform.kubernetes_api import KubernetesApi
    from roundsmith.platform.promotion_job import promotion_job

    api = KubernetesApi(namespace)
    cluster, owner = find_installation(api, release)
    job = promotion_job(cluster, release, options, owner)
    submit_job(api, job)
    name = job["metadata"]["name"]
    return Followed(api, name, show=lambda line: print(line, flush=True), warn=say).to_its_end()
