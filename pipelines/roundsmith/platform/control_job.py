"""A run as a Kubernetes Job: its manifest, what became of it, and its log as it comes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.hashing import content_hash
from roundsmith.platform.cluster_config import CONTROL_CONTAINER, ClusterConfig
from roundsmith.platform.kubernetes_api import Json, KubernetesApi
from roundsmith.platform.manifests import (
    RUN,
    container_of,
    hashed,
    labels,
    pod_template,
    queued,
    same_spec,
)

OPTIONS = "roundsmith.dev/options"
JOB_LABEL, UID_LABEL = "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid"
"""Set on the pods of a Job."""
CONFIG_FILE = "/etc/roundsmith/cluster.json"
WORK = "/runs"
DOCTOR = "doctor"
"""The name of what looks at a cluster."""
TAKEN = {DOCTOR: "roundsmith doctor", "upload": "the chart's upload of the pipeline"}
"""Names of Jobs of an installation that no run may have, and what does."""
LOST_PODS = 6
"""Pods of a run that may be lost, with their node or by a kill, before it is given up."""
KEEP_S = 7 * 24 * 3600
"""How long a finished Job is kept. A run that is started again later recomputes nothing either."""
LOOK_S = 1.0
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


def run_name(options: Sequence[str]) -> str:
    """The name of a run that was given none: the same for the same options."""
    return f"run-{content_hash('run', list(options))[:8]}"


def job_name(release: str, run: str) -> str:
    """The name of a run's Job. Raises ConfigError for a run that can not be called so."""
    name = f"{release}-{run}"
    if not NAME.fullmatch(run) or len(name) > 63:
        raise ConfigError(
            f"--name {run!r}: expected at most 40 letters a-z, digits and dashes between them "
            "(63 with the release's): give such a name"
        )
    return name


def control_job(
    cluster: ClusterConfig, name: str, run: str, options: Sequence[str], owner: Json
) -> Json:
    """The Job that plays a run; it goes with `owner`, the ConfigMap of the release.

    An exit code of `roundsmith run` is final; a pod that was lost or killed is replaced, and goes
    on where the run was.
    """
    if run in TAKEN:
        raise ConfigError(f"--name {run}: expected a name that {TAKEN[run]} does not use")
    endpoint = cluster.tracing.otlp_endpoint
    traced = ["--otlp-endpoint", endpoint] if endpoint else []
    words = ["run", "--cluster", CONFIG_FILE, "--out", f"{WORK}/{run}", *traced, *options]
    return command_job(cluster, name, run, words, options, owner)


def doctor_job(cluster: ClusterConfig, name: str, owner: Json) -> Json:
    """The Job that looks at the cluster from where runs are played, and prints JSON.

    It waits for no queue and has no PriorityClass: a wrong one is among what it tells of.
    """
    words = ["doctor", "--cluster", CONFIG_FILE, "--runs", "--json"]
    free = cluster.jobs.model_copy(update={"queue": "", "priority_class": ""})
    cluster = cluster.model_copy(update={"jobs": free})
    return command_job(cluster, name, DOCTOR, words, (), owner)


def command_job(
    cluster: ClusterConfig,
    name: str,
    run: str,
    words: Sequence[str],
    options: Sequence[str],
    owner: Json,
) -> Json:
    """The Job whose pod runs a command of Roundsmith; `options` are what a person gave."""
    template = pod_template(cluster.control.template, "control", cluster.jobs)
    template["metadata"]["labels"][RUN] = run
    template["spec"]["restartPolicy"] = "Never"
    container = container_of(template, CONTROL_CONTAINER)
    container["args"] = list(words)
    container["env"] = [*container.get("env", []), *_own_job()]
    spec: Json = {
        "backoffLimit": LOST_PODS,
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": CONTROL_CONTAINER,
                        "operator": "In",
                        "values": [1, 2],
                    },
                },
            ]
        },
        "ttlSecondsAfterFinished": KEEP_S,
        "template": template,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": labels("control") | queued(cluster.jobs) | {RUN: run},
            "annotations": hashed(spec) | {OPTIONS: json.dumps(list(options))},
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _own_job() -> Iterator[Json]:
    """What tells the pod which Job it is of, so that its trainings go with that."""
    for variable, label in (("NAME", JOB_LABEL), ("UID", UID_LABEL)):
        path = f"metadata.labels['{label}']"
        source = {"fieldRef": {"fieldPath": path}}
        yield {"name": f"ROUNDSMITH_JOB_{variable}", "valueFrom": source}


def submit_job(api: KubernetesApi, job: Json) -> bool:
    """Create a run's Job; False where the same one is under way. A finished one is started anew.

    Raises ConfigError where a run of this name is under way with other options.
    """
    name = job["metadata"]["name"]
    while api.create("jobs", job) is None:
        there = api.get("jobs", name)
        if there is None:
            continue
        if finished(there) is None and not there["metadata"].get("deletionTimestamp"):
            if same_spec(there, job):
                return False
            given = there["metadata"].get("annotations", {}).get(OPTIONS, "none that are told")
            run = job["metadata"]["labels"].get(RUN)
            if run is None:
                raise ConfigError(
                    f"job {name}: expected none under way for another state of the installation, "
                    "saw one: wait until it is over, and do it again"
                )
            raise ConfigError(
                f"job {name}: expected no run of this name with other options or on another "
                f"installation, saw one under way with {given}: give another --name, wait, or end "
                f"it with roundsmith cancel {run} --namespace {api.namespace}"
            )
        api.delete("jobs", name)
    return True


def finished(job: Mapping[str, Any]) -> bool | None:
    """Whether a Job came to a good end; None while it is under way."""
    for condition in job.get("status", {}).get("conditions") or []:
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
            return bool(condition["type"] == "Complete")
    return None


def exit_code(pod: Mapping[str, Any]) -> int | None:
    """How the container of a run ended in this pod; None when it did not."""
    for status in pod.get("status", {}).get("containerStatuses") or []:
        ended = status.get("state", {}).get("terminated")
        if status["name"] == CONTROL_CONTAINER and ended:
            return int(ended["exitCode"])
    return None
