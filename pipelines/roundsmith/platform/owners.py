"""What a training that a pipeline's task starts goes with: that which the task's pod goes with."""

import logging

from roundsmith.platform.kubernetes_api import Json, KubernetesApi

log = logging.getLogger(__name__)

COMPONENT = "app.kubernetes.io/component"


def owners_of(api: KubernetesApi, pod: str) -> list[Json]:
    """A reference to the controller of the pod of this uid, such as the Workflow of a run in
    Kubeflow Pipelines: it stays while its pods are replaced, so that a task that is tried again
    finds its training, and Kubernetes removes what refers to it after it is deleted. None for a
    pod of another namespace, which can own nothing here.
    """
    for found in api.select("pods", COMPONENT, "control"):
        metadata = found["metadata"]
        if metadata["uid"] == pod:
            return [
                {key: owner[key] for key in ("apiVersion", "kind", "name", "uid")}
                for owner in metadata.get("ownerReferences") or ()
                if owner.get("controller")
            ]
    log.warning("pod %s: not in namespace %s: its training has no owner", pod, api.namespace)
    return []
