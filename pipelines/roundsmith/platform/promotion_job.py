"""A promotion as a Kubernetes Job: only pods of the installation reach what is served to others."""

from collections.abc import Sequence

from roundsmith.hashing import content_hash
from roundsmith.platform.cluster_config import CONTROL_CONTAINER, ClusterConfig
from roundsmith.platform.control_job import CONFIG_FILE
from roundsmith.platform.kubernetes_api import Json
from roundsmith.platform.manifests import SPEC_HASH, container_of, labels, pod_template, queued

KEEP_S = 3600
"""How long a finished Job is kept to be looked at."""


def promotion_job(
    cluster: ClusterConfig, release: str, options: Sequence[str], owner: Json
) -> Json:
    """The Job that runs `roundsmith promote` with these options; it goes with `owner`."""
    template = pod_template(cluster.control.template, "control", cluster.jobs)
    template["spec"]["restartPolicy"] = "Never"
    container = container_of(template, CONTROL_CONTAINER)
    container["args"] = ["promote", "--cluster", CONFIG_FILE, *options]
    spec: Json = {"backoffLimit": 0, "ttlSecondsAfterFinished": KEEP_S, "template": template}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{release}-promote-{content_hash('promote', list(options))[:8]}",
            "namespace": cluster.namespace,
            "labels": labels("control") | queued(cluster.jobs),
            "annotations": {SPEC_HASH: content_hash(spec)},
            "ownerReferences": [owner],
        },
        "spec": spec,
    }
