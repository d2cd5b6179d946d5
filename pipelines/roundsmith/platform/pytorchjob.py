"""A training as a PyTorchJob of the Training Operator: its manifest and what its status means.

Pure functions of JSON. Facts of version 1.9: the container must be called `pytorch` and there is
one master; pods of a job whose policy is OnFailure are restarted in place, and made anew when they
are lost with their node; restarts of all pods together count against `backoffLimit`; the job
succeeds with its master, whatever the workers do, so the truth is the result in the storage root.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from roundsmith.hashing import content_hash
from roundsmith.platform.cluster_config import TRAINING_CONTAINER, ClusterTraining
from roundsmith.platform.kubernetes_api import Json

JOB_LABEL = "training.kubeflow.org/job-name"
"""Set by the operator on the pods of a job."""
SPEC_HASH = "roundsmith.dev/spec-sha256"
TRAINING = "roundsmith.dev/training"
ENTRY = ("python3", "-m", "roundsmith.training.stored")


class State(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    RESTARTING = "restarting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def job_name(request_uri: str) -> str:
    """The name of the job of a training: a DNS-1035 label, short enough for its pods' Services, and
    the same whoever asks.
    """
    return f"train-{content_hash('pytorchjob', request_uri)[:20]}"


def manifest(
    training: ClusterTraining,
    *,
    name: str,
    namespace: str,
    request_uri: str,
    owners: Sequence[Json] = (),
) -> Json:
    """The PyTorchJob whose pods run a training; it ends with what `owners` refer to."""
    spec: Json = {
        "nprocPerNode": str(training.processes),
        "runPolicy": {
            # A lost pod costs a restart of each: the others can not go on without it.
            "backoffLimit": 1 + training.disturbances * training.replicas,
            "cleanPodPolicy": "Running",
            "ttlSecondsAfterFinished": training.keep_s,
            "suspend": False,
        },
        "pytorchReplicaSpecs": dict(_replicas(training, request_uri)),
    }
    if training.deadline_s is not None:
        spec["runPolicy"]["activeDeadlineSeconds"] = training.deadline_s
    metadata: Json = {
        "name": name,
        "namespace": namespace,
        "labels": labels("training"),
        "annotations": {SPEC_HASH: content_hash(spec), TRAINING: request_uri},
    }
    if owners:
        metadata["ownerReferences"] = list(owners)
    kind = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob"}
    return {**kind, "metadata": metadata, "spec": spec}


def labels(component: str) -> dict[str, str]:
    """The labels of what a run makes."""
    return {
        "app.kubernetes.io/name": "roundsmith",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/managed-by": "roundsmith",
    }


def container_of(template: Json, name: str) -> Json:
    """The container of a pod template that is called so."""
    (found,) = (c for c in template["spec"]["containers"] if c["name"] == name)
    assert isinstance(found, dict)
    return found


def same_spec(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two manifests ask for the same; the API server adds defaults, so the annotation of
    who made them is compared.
    """
    hashes = [m["metadata"].get("annotations", {}).get(SPEC_HASH) for m in (one, other)]
    return hashes[0] is not None and hashes[0] == hashes[1]


def state(job: Mapping[str, Any]) -> tuple[State, str]:
    """How far a job is by its conditions, and what the operator says to it."""
    conditions = job.get("status", {}).get("conditions") or []
    held = {c["type"]: c.get("message", "") for c in conditions if c.get("status") == "True"}
    order = (("Failed", State.FAILED), ("Succeeded", State.SUCCEEDED))
    for kind, found in (*order, ("Restarting", State.RESTARTING), ("Running", State.RUNNING)):
        if kind in held:
            return found, held[kind]
    return State.WAITING, ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod does not run, or did not; `ended` where its container printed why."""

    pod: str
    reason: str
    ended: bool = False

    def __str__(self) -> str:
        return f"{self.pod}: {self.reason}"


def troubles(pods: Sequence[Mapping[str, Any]]) -> list[Trouble]:
    """What a person would want to know of pods that wait or were restarted."""
    return [trouble for pod in pods for trouble in _troubles(pod)]


def _troubles(pod: Mapping[str, Any]) -> Iterator[Trouble]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            yield Trouble(name, f"not scheduled: {condition.get('message', 'no node fits')}")
    if status.get("reason"):
        yield Trouble(name, f"{status['reason']}: {status.get('message', '')}")
    for container in status.get("containerStatuses") or []:
        waiting = container.get("state", {}).get("waiting") or {}
        # ContainerCreating and PodInitializing are how every pod begins.
        if waiting.get("reason", "").startswith(("Err", "Image", "Invalid", "Create")):
            yield Trouble(name, f"{waiting['reason']}: {waiting.get('message', '')}")
        for when in ("state", "lastState"):
            ended = container.get(when, {}).get("terminated")
            if ended and ended.get("exitCode"):
                count = container.get("restartCount", 0)
                why = f"{ended.get('reason', 'Error')}, exit code {ended['exitCode']}"
                yield Trouble(name, f"{why}, restarted {count} times", ended=True)


def _replicas(training: ClusterTraining, request_uri: str) -> Iterator[tuple[str, Json]]:
    template = deepcopy(training.template)
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = labels("training") | metadata.get("labels", {})
    container = container_of(template, TRAINING_CONTAINER)
    container |= {"command": list(ENTRY), "args": [request_uri]}
    for role, count in (("Master", 1), ("Worker", training.replicas - 1)):
        if count:
            yield (
                role,
                {"replicas": count, "restartPolicy": "OnFailure", "template": deepcopy(template)},
            )
