"""A training as a PyTorchJob of the Training Operator: its manifest and what its status means.

Pure functions of JSON. Facts of version 1.9: the container must be called `pytorch` and there is
one master; pods of a job whose policy is OnFailure are restarted in place, and made anew when they
are lost with their node; restarts of all pods together count against `backoffLimit`; the job
succeeds with its master, whatever the workers do, so the truth is the result in the storage root.
A suspended job has no pods, and its deadline begins when it goes on.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from roundsmith.platform.cluster_config import TRAINING_CONTAINER
from roundsmith.platform.kubernetes_api import Json, Kind
from roundsmith.platform.manifests import hashed
from roundsmith.platform.training_job import Asked, State, TrainingKind, held_conditions

_STATES = {
    "Failed": State.FAILED,
    "Succeeded": State.SUCCEEDED,
    "Suspended": State.QUEUED,
    "Restarting": State.RESTARTING,
    "Running": State.RUNNING,
}
"""The first condition that holds counts."""


def manifests(asked: Asked) -> list[tuple[Kind, Json]]:
    """The PyTorchJob whose pods run a training."""
    training = asked.cluster.training
    spec: Json = {
        "nprocPerNode": str(asked.processes),
        "runPolicy": {
            # A lost pod costs a restart of each: the others can not go on without it.
            "backoffLimit": 1 + training.disturbances * asked.pods,
            "cleanPodPolicy": "Running",
            "ttlSecondsAfterFinished": training.keep_s,
            "suspend": False,
        },
        "pytorchReplicaSpecs": dict(_replicas(asked)),
    }
    if training.deadline_s is not None:
        spec["runPolicy"]["activeDeadlineSeconds"] = training.deadline_s
    kind = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob"}
    return [("pytorchjobs", {**kind, "metadata": asked.metadata(hashed(spec)), "spec": spec})]


def state(job: Mapping[str, Any]) -> tuple[State, str]:
    """How far a job is by its conditions, and what the operator says to it."""
    held = held_conditions(job)
    for condition, found in _STATES.items():
        if condition in held:
            return found, held[condition]
    return State.WAITING, ""


def _replicas(asked: Asked) -> Iterator[tuple[str, Json]]:
    template = asked.template()
    for role, count in (("Master", 1), ("Worker", asked.pods - 1)):
        if count:
            yield (
                role,
                {"replicas": count, "restartPolicy": "OnFailure", "template": deepcopy(template)},
            )


PYTORCHJOB = TrainingKind(
    title="PyTorchJob",
    kind="pytorchjobs",
    pod_label="training.kubeflow.org/job-name",
    container=TRAINING_CONTAINER,
    manifests=manifests,
    kinds=("pytorchjobs",),
    state=state,
    pods_by=("pytorchjobs", ""),
)
