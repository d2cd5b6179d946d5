"""What the objects that runs make have in common: labels, who made them, where they may run."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from roundsmith.hashing import content_hash
from roundsmith.platform.cluster_config import ClusterJobs
from roundsmith.platform.kubernetes_api import Json

SPEC_HASH = "roundsmith.dev/spec-sha256"
RUN = "roundsmith.dev/run"
"""The label of the run that something belongs to."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
SIDECAR_LABEL = "sidecar.istio.io/inject"


def labels(component: str) -> dict[str, str]:
    """The labels of what a run makes."""
    return {
        "app.kubernetes.io/name": "roundsmith",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/managed-by": "roundsmith",
    }


def queued(jobs: ClusterJobs) -> dict[str, str]:
    """The label by which Kueue holds a job until its queue has room; none without a queue."""
    return {QUEUE_LABEL: jobs.queue} if jobs.queue else {}


def pod_template(template: Json, component: str, jobs: ClusterJobs) -> Json:
    """A copy of a pod template as the jobs of a cluster are to run: priority, sidecar, labels."""
    made = deepcopy(template)
    metadata = made.setdefault("metadata", {})
    metadata["labels"] = labels(component) | metadata.get("labels", {})
    if not jobs.sidecar:
        metadata["labels"][SIDECAR_LABEL] = "false"
    if jobs.priority_class:
        made["spec"]["priorityClassName"] = jobs.priority_class
    return made


def container_of(template: Json, name: str) -> Json:
    """The container of a pod template that is called so."""
    (found,) = (c for c in template["spec"]["containers"] if c["name"] == name)
    assert isinstance(found, dict)
    return found


def hashed(spec: Json) -> dict[str, str]:
    """The annotation by which an object is known again."""
    return {SPEC_HASH: content_hash(spec)}


def same_spec(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two manifests ask for the same; the API server adds defaults, so the annotation of
    who made them is compared.
    """
    hashes = [m["metadata"].get("annotations", {}).get(SPEC_HASH) for m in (one, other)]
    return hashes[0] is not None and hashes[0] == hashes[1]
