"""Where the rounds of a pipeline take place: on a cluster, or against services of one machine."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from roundsmith.clients import Endpoints
from roundsmith.commands.run import RunPlatform
from roundsmith.config import Settings, own_pod
from roundsmith.errors import ConfigError
from roundsmith.platform.cluster import ClusterPlatform, on_cluster
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.local import AttachedPlatform
from roundsmith.recipes.stage import Stage
from roundsmith.steps.config import RunConfig
from roundsmith.wrong_settings import explain


class Machine(Settings):
    """One machine whose services run already: where `kfp.local` tries a pipeline."""

    type: Literal["machine"]
    endpoints: Endpoints
    storage: str = Field(min_length=1)
    """The storage root, a folder; the services load checkpoints from its subfolder `work`."""

    @property
    def store(self) -> str:
        """The store, in the storage root."""
        return f"{self.storage}/store"


Place = ClusterConfig | Machine


def read_place(path: str) -> Place:
    """The place that a JSON file tells of: what the chart writes, or a Machine.

    Raises ConfigError when it tells of none.
    """
    try:
        told: Any = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        told = None
    if not isinstance(told, dict) or told.get("type") != "machine":
        return ClusterConfig.read(Path(path))
    try:
        return Machine.model_validate(told)
    except ValidationError as error:
        raise ConfigError(f"{path}: expected a machine, saw {explain(error, Machine)}") from error


def changed(place: Place, replicas: int, node_pool: str) -> Place:
    """The place with trainings of so many pods (0 leaves them) on a node pool, `label=value`.

    Raises ConfigError where that can not be had.
    """
    if not replicas and not node_pool:
        return place
    if isinstance(place, Machine):
        raise ConfigError(
            f"replicas {replicas}, node_pool {node_pool!r}: expected 0 and nothing on one machine, "
            "whose trainings are processes of it: leave them out"
        )
    changes: dict[str, Any] = {"replicas": replicas} if replicas else {}
    if node_pool:
        label, equals, value = node_pool.partition("=")
        if not (label and equals and value):
            raise ConfigError(
                f"node_pool {node_pool!r}: expected a label of its nodes, such as "
                "cloud.google.com/gke-nodepool=a100: write label=value, or nothing"
            )
        spec = place.training.template["spec"]
        selector = spec.get("nodeSelector", {}) | {label: value}
        changes["template"] = place.training.template | {"spec": spec | {"nodeSelector": selector}}
    training = place.training.model_dump() | changes
    try:
        return place.model_copy(update={"training": type(place.training)(**training)})
    except ValidationError as error:
        raise ConfigError(f"replicas: {explain(error, type(place.training))}") from error


def settled(config: RunConfig, place: Place, stages: Sequence[Stage]) -> RunConfig:
    """The settings of a run as its services were started."""
    return on_cluster(config, place, stages) if isinstance(place, ClusterConfig) else config


def platform_of(config: RunConfig, place: Place, run: str) -> RunPlatform:
    """What the steps of a round run on; the jobs that it starts are labelled as of `run`."""
    if isinstance(place, ClusterConfig):
        return ClusterPlatform(place, run=run, pod=own_pod())
    work = Path(place.storage, "work").resolve()
    work.mkdir(parents=True, exist_ok=True)
    return AttachedPlatform(config, work, place.endpoints)
