"""The round as a Kubeflow pipeline: its parameters, and a task for each part of a round.

`python -m roundsmith.platform.pipeline FILE` writes the one that the chart delivers.

One run plays one round; its last task submits the next. Tasks hand on a plan and references; all
else is in the storage. The image brings the code, so that no task installs anything.
"""

import importlib.util
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.installing import how_to_install
from roundsmith.platform.control_job import CONFIG_FILE
from roundsmith.platform.manifests import labels
from roundsmith.platform.parameters import FIELDS, Parameters
from roundsmith.platform.pipelines_api import version_name
from roundsmith.platform.tasks import components
from roundsmith.storage import make_output_folder

SUFFIXES = (".yaml", ".yml", ".json")
NAME = "roundsmith"
RETRIES = 2
"""A task that is lost with its node is run again: a finished step is found, not repeated."""
TITLES = {
    "measure": "Measure the model at the gate",
    "sample": "Sample, verify and score",
    "select": "Select rows",
    "train": "Train",
    "decide": "Measure again and decide",
    "look_back": "Look at final, in the last round",
}
CPU, MEMORY, MOST_MEMORY = "200m", "512Mi", "4Gi"
"""Of every task: models and programs run in the services, trainings in jobs."""
OBJECT = re.compile(r"[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?")
"""What a pipeline may be called as an object, whose versions have longer names."""
TLS_FOLDER = "/etc/roundsmith-tls"
TOKEN_LABEL = "access-ml-pipeline"
"""By it a Kubeflow profile gives a pod the token for its API."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What tasks find of the chart's installation in their namespace."""

    image: str
    """Roundsmith with the extra cluster."""
    cluster: str
    """The ConfigMap that tells where everything is."""
    secret: str
    """The Secret with the storage's keys; need not be there."""
    tls: str
    """The Secret with the certificate of rounds; need not be there."""
    release: str
    """The name of the installation: its policies let in what is labelled as of it."""
    pull_secrets: tuple[str, ...] = ()
    """The Secrets that its image is pulled with."""

    @classmethod
    def of(
        cls,
        release: str,
        image: str,
        secret: str = "",
        tls: str = "",
        pull_secrets: Sequence[str] = (),
    ) -> "Installed":
        """An installation by its name; its Secrets are the chart's unless they are named."""
        keys, shown = secret or f"{release}-storage", tls or f"{release}-client-tls"
        return cls(image, f"{release}-cluster", keys, shown, release, tuple(pull_secrets))


CHARTS = Installed.of("RELEASE", "image.invalid/roundsmith:0", "STORAGE-SECRET", "TLS-SECRET")
"""What the chart puts its own names in the place of; it adds its Secrets for images."""


def compile_pipeline(installed: Installed, output: Path, objects: str = "") -> None:
    """Writes the pipeline as kfp's YAML, or as the objects Pipeline, of the name `objects`, and
    PipelineVersion, which never changes and is called by its content.

    Raises ConfigError without kfp, and for a name that kfp or Kubernetes does not take.
    """
    if (
        importlib.util.find_spec("kfp") is None
        or importlib.util.find_spec("kfp.kubernetes") is None
    ):
        raise ConfigError(f"compile needs kfp, saw none: {how_to_install('cluster')}")
    if output.suffix not in SUFFIXES:
        raise ConfigError(f"--output {output}: expected a name that ends in {', '.join(SUFFIXES)}")
    from kfp import compiler  # type: ignore[import-untyped]  # ships no types
    from kfp.compiler.compiler_utils import (  # type: ignore[import-untyped]  # ships no types
        KubernetesManifestOptions,
    )

    make_output_folder(output.parent, "--output")
    pipeline, by_kfp = round_pipeline(installed), compiler.Compiler()
    if not objects:
        by_kfp.compile(pipeline, str(output))
        return
    if not OBJECT.fullmatch(objects):
        raise ConfigError(
            f"--name {objects!r}: expected at most 50 letters a-z, digits and dashes between them, "
            "as Kubernetes takes it: give such a name"
        )
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "pipeline.yaml")
        by_kfp.compile(pipeline, str(package))
        version = version_name(objects, package)
    options = KubernetesManifestOptions(
        pipeline_name=objects, pipeline_version_name=version, include_pipeline_manifest=True
    )
    by_kfp.compile(
        pipeline,
        str(output),
        kubernetes_manifest_format=True,
        kubernetes_manifest_options=options,
    )


def round_pipeline(installed: Installed) -> Callable[..., Any]:
    """The kfp pipeline of one round of a chain; its parameters are those of `Parameters`."""
    from kfp import dsl

    def pipeline(
        recipe: str = "gift",
        model: str = "lab",
        tasks: str = "lab",
        rounds: int = 1,
        seed: int = 0,
        preset: str = "",
        limit: int = 0,
        eval_limit: int = 0,
        config: dict = {},  # type: ignore[type-arg]  # noqa: B006  # what kfp reads as a default
        budget: dict = {},  # type: ignore[type-arg]  # noqa: B006  # what kfp reads as a default
        alpha: float = 0.0,
        control: bool = True,
        replicas: int = 0,
        node_pool: str = "",
        chain: str = "",
        round_number: int = 1,
        cluster: str = CONFIG_FILE,
    ) -> None:
        _add_tasks(installed, locals())

    fields = Parameters.model_fields.items()
    told = "".join(f"    {name}: {field.description}\n" for name, field in fields)
    pipeline.__doc__ = f"A round of self-training.\n\nArgs:\n{told}"
    described = dsl.pipeline(
        name=NAME,
        display_name="Roundsmith: a round of self-training",
        description="Sample, verify, score, select, train, measure, decide at the gate, report.",
    )
    return described(pipeline)  # type: ignore[no-any-return]  # kfp's decorator


def _add_tasks(installed: Installed, parameters: Mapping[str, Any]) -> None:
    """The tasks of a round, one after another; the last one runs however the others end."""
    from kfp import dsl

    by_name = components(installed.image)
    run = dsl.PIPELINE_JOB_ID_PLACEHOLDER
    added = AddTask(installed)
    ending = by_name["release"](cluster=parameters["cluster"], run=run)
    with dsl.ExitHandler(added.task(ending, "Release GPUs"), name="round"):
        first = by_name["check"](run=run, **{name: parameters[name] for name in FIELDS})
        plan = added.task(first, "Check the parameters", retries=0).output
        before = first
        for stage, title in TITLES.items():
            part = by_name[stage](stage=stage, plan=plan)
            before = added.task(part.after(before), title)
        report = added.task(by_name["report"](plan=plan).after(before), "Report")
        added.task(by_name["next"](plan=plan).after(report), "Submit the next round")


@dataclass(frozen=True)
class AddTask:
    """Gives each task what all have in common."""

    installed: Installed

    def task(self, task: Any, title: str, retries: int = RETRIES) -> Any:
        """The task, with its title; what refuses parameters is not tried again."""
        from kfp import kubernetes

        task.set_display_name(title)
        task.set_caching_options(False)  # kfp's cache outlives the store; ours is the store
        if retries:
            task.set_retry(retries, backoff_duration="30s")
        task.set_cpu_request(CPU).set_memory_request(MEMORY).set_memory_limit(MOST_MEMORY)
        told, keys = self.installed.cluster, self.installed.secret
        kubernetes.use_config_map_as_volume(task, told, str(Path(CONFIG_FILE).parent))
        for name in ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "HF_HUB_OFFLINE"):
            kubernetes.use_config_map_as_env(task, told, {name: name}, optional=True)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            kubernetes.use_secret_as_env(task, keys, {name: name}, optional=True)
        kubernetes.use_field_path_as_env(task, "ROUNDSMITH_POD_UID", "metadata.uid")
        kubernetes.use_secret_as_volume(task, self.installed.tls, TLS_FOLDER, optional=True)
        kubernetes.set_image_pull_secrets(task, list(self.installed.pull_secrets))
        kubernetes.add_pod_label(task, TOKEN_LABEL, "true")
        kubernetes.add_pod_label(task, "app.kubernetes.io/instance", self.installed.release)
        for label, value in labels("control").items():
            kubernetes.add_pod_label(task, label, value)
        return task


if __name__ == "__main__":
    compile_pipeline(CHARTS, Path(sys.argv[1]))
