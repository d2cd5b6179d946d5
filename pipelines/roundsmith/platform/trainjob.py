"""A training as a TrainJob of Kubeflow Trainer: its manifests and what its status means.

Pure functions of JSON. The field by which a TrainJob changes its runtime's pods has had another
name in each minor version (2.0 podSpecOverrides, 2.1 podTemplateOverrides, 2.2 runtimePatches), so
nothing is changed: each training has a TrainingRuntime of its own that holds its pods as they are
to be. Facts of version 2.2: the replicated job and its container must be called `node`; it becomes
an indexed Job of a JobSet, whose pods are restarted in place and made anew when they are lost.
"""

from collections.abc import Mapping
from typing import Any

from roundsmith.platform.cluster_config import TRAINING_CONTAINER
from roundsmith.platform.kubernetes_api import Json, Kind
from roundsmith.platform.manifests import container_of, hashed
from roundsmith.platform.training_job import Asked, State, TrainingKind, held_conditions

API = "trainer.kubeflow.org/v1alpha1"
NODE = "node"
_STEP = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}


def manifests(asked: Asked) -> list[tuple[Kind, Json]]:
    """The runtime and the TrainJob of a training."""
    runtime: Json = {
        "mlPolicy": {"numNodes": asked.pods, "torch": {}},
        "template": {"spec": {"replicatedJobs": [_job(asked)]}},
    }
    spec: Json = {
        "runtimeRef": {
            "apiGroup": API.partition("/")[0],
            "kind": "TrainingRuntime",
            "name": asked.name,
        },
        "trainer": {"numNodes": asked.pods, "numProcPerNode": asked.processes},
        "suspend": False,
    }
    annotations = hashed({"runtime": runtime, "job": spec})
    return [
        (
            "trainingruntimes",
            {
                "apiVersion": API,
                "kind": "TrainingRuntime",
                "metadata": asked.metadata(annotations, is_job=False),
                "spec": runtime,
            },
        ),
        (
            "trainjobs",
            {
                "apiVersion": API,
                "kind": "TrainJob",
                "metadata": asked.metadata(annotations),
                "spec": spec,
            },
        ),
    ]


def state(job: Mapping[str, Any]) -> tuple[State, str]:
    """How far a job is by its conditions and what its JobSet counts."""
    held = held_conditions(job)
    for condition, found in (
        ("Failed", State.FAILED),
        ("Complete", State.SUCCEEDED),
        ("Suspended", State.QUEUED),
    ):
        if condition in held:
            return found, held[condition]
    counted = job.get("status", {}).get("jobsStatus") or []
    runs = any(jobs.get("active") or jobs.get("ready") for jobs in counted)
    return (State.RUNNING if runs else State.WAITING), ""


def _job(asked: Asked) -> Json:
    training = asked.cluster.training
    template = asked.template()
    container_of(template, TRAINING_CONTAINER)["name"] = NODE
    template["spec"]["restartPolicy"] = "OnFailure"
    spec: Json = {
        # A lost pod costs a restart of each: the others can not go on without it.
        "backoffLimit": 1 + training.disturbances * asked.pods,
        "template": template,
    }
    if training.deadline_s is not None:
        spec["activeDeadlineSeconds"] = training.deadline_s
    return {"name": NODE, "template": {"metadata": {"labels": _STEP}, "spec": spec}}


TRAINJOB = TrainingKind(
    title="TrainJob",
    kind="trainjobs",
    pod_label="jobset.sigs.k8s.io/jobset-name",
    container=NODE,
    manifests=manifests,
    kinds=("trainingruntimes", "trainjobs"),
    state=state,
    pods_by=("jobs", f"-{NODE}-0"),
)
