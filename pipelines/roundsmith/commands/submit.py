"""`roundsmith submit`: a run as a Job on a cluster, followed from here."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from roundsmith.commands.pipeline_options import (
    image_option,
    pull_secret_option,
    storage_secret_option,
    tls_secret_option,
    token_option,
)
from roundsmith.errors import ConfigError

EPILOG = """Examples:

roundsmith submit --namespace ml --release roundsmith -- --recipe gift --preset lab

roundsmith submit --namespace ml --name first -- --recipe rft --limit 50 --rounds 2

roundsmith submit --pipelines http://localhost:8888 --name c --param recipe=gift --param rounds=3

Ctrl-C leaves the run alone: the same command looks at it again. A run that has ended is started
anew by it, and computes nothing twice. `roundsmith cancel NAME` ends a run; submitted again it goes
on. Files of its rounds are in the storage root, under runs/NAME/round-N."""

PIPELINES = "Through Kubeflow Pipelines"
OF_THIS_MACHINE = ("out", "cluster", "config")
"""Options of `roundsmith run` that name files of the machine it is started on."""
_GIVEN = ("COMMANDLINE", "PROMPT", "ENVIRONMENT")


def submit(
    options: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- RUN OPTIONS",
            help="What `roundsmith run` takes, after two dashes, but for --out, --cluster and "
            "--config. Models, task files and recipes are named as the image sees them.",
        ),
    ] = None,
    namespace: Annotated[str, typer.Option(help="Where the chart is installed.")] = "roundsmith",
    release: Annotated[str, typer.Option(help="The name of its installation.")] = "roundsmith",
    name: Annotated[
        str | None,
        typer.Option(
            help="The run's. The same name and options are the same run.",
            show_default="from the options",
        ),
    ] = None,
    pipelines: Annotated[
        str | None,
        typer.Option(
            help="The API of Kubeflow Pipelines: rounds are runs there, and --name is their chain.",
            rich_help_panel=PIPELINES,
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            help="A parameter of the pipeline, such as rounds=3.", rich_help_panel=PIPELINES
        ),
    ] = None,
    image: Annotated[str, image_option(PIPELINES)] = "",
    storage_secret: Annotated[str, storage_secret_option(PIPELINES)] = "",
    tls_secret: Annotated[str, tls_secret_option(PIPELINES)] = "",
    pull_secret: Annotated[list[str] | None, pull_secret_option(PIPELINES)] = None,
    token: Annotated[str, token_option(PIPELINES)] = "",
) -> None:
    """Run rounds on a cluster, where the chart is installed, with the kubeconfig of this machine.

    The run is a Job whose pod asks the services of the installation and trains in jobs of its own
    (PyTorchJob or TrainJob). Its log is shown here, and its exit code is this command's.

    With --pipelines each round is a run of the pipeline, which this command only starts.
    """
    if pipelines is not None:
        from roundsmith.commands.compile import default_image
        from roundsmith.commands.pipeline_runs import submit_chain
        from roundsmith.platform.pipeline import Installed
        from roundsmith.platform.pipelines_api import PipelinesApi

        if options:
            raise ConfigError(
                f"-- {' '.join(options)}: expected --param NAME=VALUE with --pipelines, saw "
                "options of `roundsmith run`: give them as parameters"
            )
        secrets = storage_secret, tls_secret, pull_secret or ()
        installed = Installed.of(release, image or default_image(), *secrets)
        say(submit_chain(PipelinesApi(pipelines, namespace, token), installed, name, param or ()))
        return
    if param or image or storage_secret or tls_secret or pull_secret or token:
        raise ConfigError(
            "--param, --image, --storage-secret, --tls-secret, --pull-secret, --token: expected "
            "them with --pipelines, saw none: name its API, or give options of `roundsmith run` "
            "after two dashes"
        )
    from roundsmith.commands.installation import find_installation
    from roundsmith.platform.control_job import control_job, job_name, run_name, submit_job
    from roundsmith.platform.followed_run import Followed
    from roundsmith.platform.kubernetes_api import KubernetesApi

    given = list(options or [])
    check_options(given)
    run = name or run_name(given)
    job = job_name(release, run)
    api = KubernetesApi(namespace)
    cluster, owner = find_installation(api, release)
    new = submit_job(api, control_job(cluster, job, run, given, owner))
    say(f"run {run}: job {job} {'is created' if new else 'is under way: following it'}")
    try:
        code = Followed(api, job, show=lambda line: print(line, flush=True), warn=say).to_its_end()
    except KeyboardInterrupt as interrupt:
        again = ["--namespace", namespace, "--release", release, "--name", run, "--", *given]
        say(f"the run goes on; look at it again: roundsmith submit {' '.join(again)}")
        raise typer.Exit(130) from interrupt
    if code == 0:
        say(f"run {run}: done; its files: {cluster.run(run)}")
    raise typer.Exit(code)


def check_options(options: Sequence[str]) -> None:
    """Raises click's UsageError for what `roundsmith run` does not take, ConfigError for what a
    submitted run decides itself.
    """
    from roundsmith.cli import app

    group = typer.main.get_group(app)
    with typer.Context(group) as outer:
        command = group.get_command(outer, "run")
        assert command is not None
        with command.make_context("run", list(options), parent=outer) as inner:
            sources = {key: inner.get_parameter_source(key) for key in OF_THIS_MACHINE}
    own = [f"--{key}" for key, source in sources.items() if source and source.name in _GIVEN]
    if own:
        raise ConfigError(
            f"{', '.join(own)}: expected options that mean the same in a pod, saw this machine's "
            "files: leave it out; settings of a file can be given one by one"
        )


def say(message: str) -> None:
    """Tell the person, not who reads the run's log."""
    print(f"roundsmith: {message}", file=sys.stderr, flush=True)
