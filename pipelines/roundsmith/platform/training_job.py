"""What a training asks of the controller that runs its pods, whichever that is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from roundsmith.hashing import content_hash
from roundsmith.platform.cluster_config import TRAINING_CONTAINER, ClusterConfig
from roundsmith.platform.kubernetes_api import Json, Kind
from roundsmith.platform.manifests import RUN, container_of, labels, pod_template, queued

TRAINING = "roundsmith.dev/training"
ENTRY = ("python3", "-m", "roundsmith.training.stored")


class State(StrEnum):
    """How far a job is. A queued one waits for its queue's quota: no pod of it is there."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    RESTARTING = "restarting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Asked:
    """A training on a cluster: its request in the storage root, and what its job ends with."""

    cluster: ClusterConfig
    request_uri: str
    owners: Sequence[Json] = ()
    run: str = ""
    """The run that asks for it, where that ends its trainings itself."""
    rolls_out: bool = False
    """Whether it samples from the services."""

    @property
    def name(self) -> str:
        """The name of its job: a DNS-1035 label, short enough for its pods' Services, and the same
        whoever asks.
        """
        return f"train-{content_hash('pytorchjob', self.request_uri)[:20]}"

    @property
    def pods(self) -> int:
        """How many there are of it."""
        return self.cluster.training.replicas

    @property
    def processes(self) -> int:
        """Of each pod."""
        return self.cluster.training.processes

    def template(self) -> Json:
        """A copy of the template of its pods, whose container runs it."""
        on = self.cluster.training
        made = pod_template(on.template, "training", self.cluster.jobs)
        container = container_of(made, TRAINING_CONTAINER)
        container |= {"command": list(ENTRY), "args": [self.request_uri]}
        # A runtime may remove an ended container, and its log, before anybody reads it.
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
        if self.rolls_out:
            made["metadata"]["labels"] |= on.rollouts.labels
            for place, key, more in (
                (made["spec"], "volumes", on.rollouts.volumes),
                (container, "volumeMounts", on.rollouts.volume_mounts),
            ):
                place[key] = [*place.get(key, ()), *more]
        return made

    def metadata(self, annotations: Mapping[str, str], *, is_job: bool = True) -> Json:
        """Of every object that is made for it; only a job waits for a queue."""
        own = {RUN: self.run} if self.run else {}
        made: Json = {
            "name": self.name,
            "namespace": self.cluster.namespace,
            "labels": labels("training") | own | (queued(self.cluster.jobs) if is_job else {}),
            "annotations": {**annotations, TRAINING: self.request_uri},
        }
        return made | ({"ownerReferences": list(self.owners)} if self.owners else {})


@dataclass(frozen=True, slots=True)
class TrainingKind:
    """A kind of training job. All are asked for, followed and removed in the same way."""

    title: str
    kind: Kind
    pod_label: str
    """Which its controller sets to the job's name on its pods."""
    container: str
    """Which trains, in each pod."""
    manifests: Callable[[Asked], Sequence[tuple[Kind, Json]]]
    """The objects in the order in which they are made; the job itself is the last."""
    kinds: tuple[Kind, ...]
    """Of those objects, which all have one name."""
    state: Callable[[Mapping[str, Any]], tuple[State, str]]
    """How far a job is by its status, and what its controller says to it."""
    pods_by: tuple[Kind, str]
    """What makes its pods: its kind, and what follows the job's name in its own."""


def held_conditions(job: Mapping[str, Any]) -> dict[str, str]:
    """The conditions of a job that are true, each with its message."""
    conditions = job.get("status", {}).get("conditions") or []
    return {c["type"]: c.get("message", "") for c in conditions if c.get("status") == "True"}
