"""An installation of the chart, as the machine of a user finds it."""

from roundsmith.errors import UnknownName
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.kubernetes_api import Json, KubernetesApi


def find_installation(api: KubernetesApi, release: str) -> tuple[ClusterConfig, Json]:
    """What its chart tells runs, and the reference of what their jobs go with.

    Raises UnknownName when there is none of this name in the namespace.
    """
    config = f"{release}-cluster"
    found = api.get("configmaps", config)
    if found is None:
        raise UnknownName(
            f"--release {release}: expected the ConfigMap {config} in namespace {api.namespace}, "
            "saw none: install the chart there, or name its namespace and release"
        )
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": config}
    owner["uid"] = found["metadata"]["uid"]
    return ClusterConfig.parse(found["data"]["cluster.json"], f"configmap {config}"), owner
