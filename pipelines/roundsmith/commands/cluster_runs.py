"""`roundsmith status`, `logs` and `cancel`: runs that `submit` started on a cluster."""

import json
from typing import Annotated

import typer

from roundsmith.commands.submit import say
from roundsmith.errors import ConfigError

Run = Annotated[str, typer.Argument(help="The run's name, as `submit` says it.")]
Namespace = Annotated[str, typer.Option(help="Where the chart is installed.")]
Release = Annotated[str, typer.Option(help="The name of its installation.")]
Pipelines = Annotated[
    str | None,
    typer.Option(help="The API of Kubeflow Pipelines, where a name is that of a chain of rounds."),
]
Token = Annotated[
    str, typer.Option(help="A file with the token for it, where Kubeflow has several users.")
]

STATUS_EPILOG = """Examples:

roundsmith status --namespace ml

roundsmith status first --namespace ml --json | jq -r .state"""

LOGS_EPILOG = """Example:

roundsmith logs first --namespace ml"""

CANCEL_EPILOG = """Example:

roundsmith cancel first --namespace ml

What the run has finished stays in the storage: submitted again, it goes on."""


def status(
    run: Annotated[
        str | None, typer.Argument(help="The run's name.", show_default="all of them")
    ] = None,
    namespace: Namespace = "roundsmith",
    release: Release = "roundsmith",
    pipelines: Pipelines = None,
    token: Token = "",
    json_: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Tell how far the runs on a cluster are: queued, waiting, running, done or failed.

    A queued run waits for quota, and takes nothing; a waiting one has no pod that runs yet.
    """
    if pipelines is not None:
        from roundsmith.commands.pipeline_runs import show_chains
        from roundsmith.platform.pipelines_api import PipelinesApi

        show_chains(PipelinesApi(pipelines, namespace, token), run, json_)
        return
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from roundsmith.commands.installation import find_installation
    from roundsmith.platform.followed_run import find_run, runs
    from roundsmith.platform.kubernetes_api import KubernetesApi

    api = KubernetesApi(namespace)
    found = runs(api, release) if run is None else [find_run(api, release, run)]
    if not found:
        find_installation(api, release)  # else it is another namespace that has runs
    if json_:
        told = [asdict(state) for state in found]
        typer.echo(json.dumps(told if run is None else told[0], indent=2))
        return
    table = Table()
    for column in ("run", "state", "since", "options", "troubles"):
        table.add_column(column, overflow="fold")
    for state in found:
        cells = (state.name, state.state, state.since, " ".join(state.options))
        table.add_row(*map(Text, (*cells, "\n".join(state.troubles))))
    Console(highlight=False).print(table)


def logs(run: Run, namespace: Namespace = "roundsmith", release: Release = "roundsmith") -> None:
    """Show the log of a run on a cluster from its beginning, and follow it to its end.

    The exit code is the run's. Ctrl-C leaves the run alone.
    """
    from roundsmith.platform.followed_run import Followed, find_run
    from roundsmith.platform.kubernetes_api import KubernetesApi

    api = KubernetesApi(namespace)
    job = find_run(api, release, run).job
    try:
        code = Followed(api, job, show=lambda line: print(line, flush=True), warn=say).to_its_end()
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(130) from interrupt
    raise typer.Exit(code)


def cancel(
    run: Run,
    namespace: Namespace = "roundsmith",
    release: Release = "roundsmith",
    pipelines: Pipelines = None,
    token: Token = "",
    storage: Annotated[
        str | None,
        typer.Option(
            help="With --pipelines: the storage root, where a marker keeps a next round from "
            "beginning whatever is submitted."
        ),
    ] = None,
) -> None:
    """End a run on a cluster: its pods at once, its trainings with it.

    One that is over already is left as it is. With --pipelines, all rounds of a chain that are
    under way.
    """
    if pipelines is not None:
        from roundsmith.commands.pipeline_runs import cancel_chain
        from roundsmith.platform.pipelines_api import PipelinesApi

        say(cancel_chain(PipelinesApi(pipelines, namespace, token), run, storage))
        return
    if storage is not None:
        raise ConfigError(
            f"--storage {storage}: expected it with --pipelines, saw none: name its API, or leave "
            "it out to end the run of a Job"
        )
    from roundsmith.platform.followed_run import find_run
    from roundsmith.platform.kubernetes_api import KubernetesApi

    api = KubernetesApi(namespace)
    found = find_run(api, release, run)
    if found.state in ("done", "failed"):
        say(f"run {run} is {found.state} since {found.since}: nothing to end")
        return
    api.delete("jobs", found.job)
    say(f"run {run} is ended; what it has finished is kept: submit it again, and it goes on")
