"""Which kind of training job a cluster has."""

from typing import Literal

from roundsmith.errors import PlatformError
from roundsmith.platform.kubernetes_api import KubernetesApi
from roundsmith.platform.pytorchjob import PYTORCHJOB
from roundsmith.platform.training_job import TrainingKind
from roundsmith.platform.trainjob import TRAINJOB

KINDS = {"pytorchjob": PYTORCHJOB, "trainjob": TRAINJOB}
"""In the order in which `auto` takes them."""


Wanted = Literal["auto", "pytorchjob", "trainjob"]


def kinds_of(wanted: Wanted) -> list[TrainingKind]:
    """The kinds that an installation makes, and its runs have a role for."""
    return list(KINDS.values()) if wanted == "auto" else [KINDS[wanted]]


def find_kind(api: KubernetesApi, wanted: Wanted) -> TrainingKind:
    """The kind that is wanted. Raises PlatformError where the cluster does not have it."""
    asked = kinds_of(wanted)
    for kind in asked:
        if api.serves(kind.kind):
            return kind
    titles = " or ".join(kind.title for kind in asked)
    raise PlatformError(
        f"training.job {wanted}: expected a cluster that knows {titles}, saw one that does not: "
        "install the Training Operator (PyTorchJob) or Kubeflow Trainer (TrainJob)"
    )
