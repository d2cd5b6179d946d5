"""Why pods wait, were ended, or are not made, in the words of who looks after them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roundsmith.platform.kubernetes_api import Kind, KubernetesApi

NO_POD_S = 60.0
"""How long a job may be without a pod, and a pod may wait and not say why, before a word."""

OOM_KILLED = "OOMKilled"
"""Kubernetes' word for a container in which the kernel killed a process for want of memory."""
_COMPONENT = "app.kubernetes.io/component"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod does not run, or did not; `ended` where its container printed why."""

    pod: str
    reason: str
    ended: bool = False
    message: str = ""
    """What its container left in the pod's status when it ended."""

    def __str__(self) -> str:
        return f"{self.pod}: {self.reason}"


def troubles(pods: Sequence[Mapping[str, Any]]) -> list[Trouble]:
    """What a person would want to know of pods that wait or were restarted."""
    return [trouble for pod in pods for trouble in _troubles(pod)]


@dataclass
class Podless:
    """What makes pods while it has none, for want of quota or of a PriorityClass: told after a
    minute, and ever more rarely then.
    """

    api: KubernetesApi
    kind: Kind
    name: str
    lacks: str = "no pod of it"
    after: str = ""
    """When what was warned of before is over."""
    _since_s: float | None = None
    _next_s: float = 0.0

    def trouble(self, *, waits: bool) -> Trouble | None:
        """What is to be told now; `waits` while there should be a pod and is none."""
        if not waits:
            self._since_s, self._next_s = None, 0.0
            return None
        if self._since_s is None:
            self._since_s = time.monotonic()
        waited_s = time.monotonic() - self._since_s
        if waited_s < max(NO_POD_S, self._next_s):
            return None
        self._next_s = 2 * waited_s
        why = self.api.warned(self.name, self.after)
        if not why:
            look = f"kubectl describe {self.kind} {self.name} --namespace {self.api.namespace}"
            why = f"its events tell why: {look}"
        return Trouble(self.name, f"{self.lacks} for {waited_s:.0f} s: {why}")


@dataclass
class Unbegun:
    """Pods that have a node and do not begin: what a volume lacks, or how long an image takes, is
    told by events alone. Told as of what has no pod.
    """

    api: KubernetesApi
    _pods: dict[str, Podless] = field(default_factory=dict)

    def troubles(self, pods: Sequence[Mapping[str, Any]]) -> list[Trouble]:
        """What is to be told now of pods that wait and do not say why."""
        found = []
        for pod in pods:
            name = pod["metadata"]["name"]
            watched = self._pods.setdefault(
                name, Podless(self.api, "pods", name, "it has not begun")
            )
            watched.after = scheduled(pod)
            found.append(watched.trouble(waits=waits_silently(pod)))
        return [trouble for trouble in found if trouble is not None]


def waits_silently(pod: Mapping[str, Any]) -> bool:
    """Whether a pod has not begun, and its status does not say why."""
    status = pod.get("status", {})
    inits = status.get("initContainerStatuses") or []
    if status.get("phase") != "Pending" or any("running" in c.get("state", {}) for c in inits):
        return False
    return not any(True for _ in _troubles(pod))


def scheduled(pod: Mapping[str, Any]) -> str:
    """When a pod got its node: what was warned of before is over. Empty where that is not told."""
    for condition in pod.get("status", {}).get("conditions") or []:
        if condition["type"] == "PodScheduled":
            return str(condition.get("lastTransitionTime") or "")
    return ""


def memory_limit(pod: Mapping[str, Any], container: str) -> str:
    """Of a container, such as 4Gi; empty where it has none."""
    for one in pod.get("spec", {}).get("containers", ()):
        if one["name"] == container:
            return str(one.get("resources", {}).get("limits", {}).get("memory", ""))
    return ""


def _more_memory(pod: Mapping[str, Any], container: str) -> str:
    """What helps a container that was killed for want of memory."""
    limit = memory_limit(pod, container)
    if not limit:
        return "it has no limit, its node had no memory left"
    component = pod["metadata"].get("labels", {}).get(_COMPONENT, "")
    if component == "sandbox":
        component += ".worker" if container == "worker" else ".programs"
    values = component.replace("pair-builder", "pairBuilder")
    raised = f"{values}.resources.limits.memory in the chart's values" if values else "it"
    return f"its memory is limited to {limit}: raise {raised}"


def _troubles(pod: Mapping[str, Any]) -> Iterator[Trouble]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            yield Trouble(name, f"not scheduled: {condition.get('message', 'no node fits')}")
    if status.get("reason"):
        yield Trouble(name, f"{status['reason']}: {status.get('message', '')}")
    for container in status.get("initContainerStatuses") or []:
        for why, *_ in _reasons(container):
            yield Trouble(name, f"init container {container['name']}: {why}")
    for container in status.get("containerStatuses") or []:
        for why, ended, message in _reasons(container):
            if why.startswith(OOM_KILLED):
                why += f": {_more_memory(pod, container['name'])}"
            yield Trouble(name, why, ended, message)


def _reasons(container: Mapping[str, Any]) -> Iterator[tuple[str, bool, str]]:
    """Why a container waits or was restarted, whether it ended, and the message that it left."""
    waiting = container.get("state", {}).get("waiting") or {}
    # ContainerCreating and PodInitializing are how every pod begins.
    if waiting.get("reason", "").startswith(("Err", "Image", "Invalid", "Create")):
        yield f"{waiting['reason']}: {waiting.get('message', '')}", False, ""
    for when in ("state", "lastState"):
        ended = container.get(when, {}).get("terminated")
        if ended and ended.get("exitCode"):
            count = container.get("restartCount", 0)
            why = f"{ended.get('reason', 'Error')}, exit code {ended['exitCode']}"
            yield f"{why}, restarted {count} times", True, ended.get("message", "")
