"""A pod that calls the services from within, as one of `helm test` may."""

from collections.abc import Iterator
from contextlib import contextmanager

import yaml  # type: ignore[import-untyped]  # ships no types

from tests.cluster.world import BIN, NAMESPACE, RELEASE, Cluster

CALLER = f"{RELEASE}-caller"


@contextmanager
def calling(cluster: Cluster, program: str, namespace: str = NAMESPACE) -> Iterator[None]:
    """The pod CALLER runs a program of Python meanwhile."""
    hooks = cluster.run(BIN / "helm", "get", "hooks", RELEASE, "--namespace", namespace)
    pods = [made for made in yaml.safe_load_all(hooks) if made["kind"] == "Pod"]
    [pod] = [made for made in pods if made["metadata"]["namespace"] == namespace]
    labels = pod["metadata"]["labels"]
    pod["metadata"] = {"name": CALLER, "namespace": namespace, "labels": labels}
    [container] = pod["spec"]["containers"]
    container |= {"command": ["python", "-c", program], "args": []}
    cluster.apply(pod)
    try:
        yield
    finally:
        cluster.kubectl("delete", "pod", CALLER, "--grace-period=1", namespace=namespace)


def said(cluster: Cluster, namespace: str = NAMESPACE) -> list[str]:
    """The lines that it has printed; none before it runs."""
    return cluster.answered("logs", CALLER, namespace=namespace).stdout.splitlines()
