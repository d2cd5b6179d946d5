"""The Deployment of the sandbox pods, as its executor may change it: how many there are, and which
go. What a pod is, the chart alone says.
"""

from typing import Any

from roundsmith.errors import PlatformError
from roundsmith.executor.scaling import SandboxPod
from roundsmith.kubernetes_login import log_in

_TIMEOUT_S = 10
_COST = "controller.kubernetes.io/pod-deletion-cost"


class SandboxDeployment:
    """Blocking: called in threads. It needs the role that the chart gives the executor."""

    def __init__(self, deployment: str) -> None:
        """`deployment` is NAMESPACE/NAME. Raises ConfigError where no API server can be asked."""
        from kubernetes import client  # type: ignore[import-untyped]  # ships no types

        api = log_in("--deployment")
        self.namespace, _, self.name = deployment.partition("/")
        self._apps, self._core = client.AppsV1Api(api), client.CoreV1Api(api)

    def replicas(self) -> int:
        """How many pods are asked for."""
        return int(self._ask("get", self._apps.read_namespaced_deployment).spec.replicas)

    def scale(self, replicas: int) -> None:
        """Asks for so many pods."""
        body = {"spec": {"replicas": replicas}}
        self._ask("scale", self._apps.patch_namespaced_deployment_scale, body=body)

    def pods(self) -> list[SandboxPod]:
        """The pods that are not on their way out."""
        labels = self._ask("get", self._apps.read_namespaced_deployment).spec.selector.match_labels
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        found = self._call("list", lambda: self._core.list_namespaced_pod(
            self.namespace, label_selector=selector, _request_timeout=_TIMEOUT_S
        ))  # fmt: skip
        return [_pod(item) for item in found.items if not item.metadata.deletion_timestamp]

    def delete(self, pod: str) -> None:
        """Ends a pod, which is replaced; one that is gone is fine."""
        self._call("delete", lambda: self._core.delete_namespaced_pod(
            pod, self.namespace, _request_timeout=_TIMEOUT_S
        ))  # fmt: skip

    def prefer(self, pod: str) -> None:
        """Has this pod taken first when there are to be fewer."""
        body = {"metadata": {"annotations": {_COST: "-1000"}}}
        self._call("patch", lambda: self._core.patch_namespaced_pod(
            pod, self.namespace, body, _request_timeout=_TIMEOUT_S
        ))  # fmt: skip

    def trouble(self) -> str:
        """Why Kubernetes makes no further pod, such as a quota; empty when it does."""
        conditions = self._ask("get", self._apps.read_namespaced_deployment).status.conditions or ()
        said = [c.message for c in conditions if (c.type, c.status) == ("ReplicaFailure", "True")]
        return str(said[0]) if said else ""

    def _ask(self, verb: str, method: Any, **given: Any) -> Any:
        return self._call(verb, lambda: method(
            self.name, self.namespace, _request_timeout=_TIMEOUT_S, **given
        ))  # fmt: skip

    def _call(self, verb: str, ask: Any) -> Any:
        import urllib3
        from kubernetes.client.exceptions import (  # type: ignore[import-untyped]  # no types
            ApiException,
        )

        try:
            return ask()
        except ApiException as error:
            if error.status == 404 and verb in ("delete", "patch"):
                return None
            remedy = ": grant it as the chart does" if error.status in (401, 403) else ""
            raise PlatformError(
                f"deployment {self.namespace}/{self.name}: expected the API server to {verb} it, "
                f"saw status {error.status} {error.reason}{remedy}"
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise PlatformError(
                f"deployment {self.namespace}/{self.name}: expected the API server to answer, saw "
                f"{error}"
            ) from error


def _pod(item: Any) -> SandboxPod:
    conditions = item.status.conditions or ()
    ready = any(c.type == "Ready" and c.status == "True" for c in conditions)
    return SandboxPod(item.metadata.name, item.status.pod_ip or "", ready)
