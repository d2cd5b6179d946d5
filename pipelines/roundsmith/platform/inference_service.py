"""An InferenceService of KServe, changed by one field at a time and waited for."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from roundsmith.errors import ConfigError, PlatformError
from roundsmith.platform.kubernetes_api import Json, KubernetesApi

log = logging.getLogger(__name__)

STOP = "serving.kserve.io/stop"
"""An annotation; `true` takes its pods away."""
POD_LABEL = "serving.kserve.io/inferenceservice"
STOPPED_BY = "roundsmith.dev/stopped-by"
"""An annotation: the run of a pipeline that took its pods away, and is to give them back."""
LOOK_S = 1.0
READY_S = 3600.0
"""How long a model may take to load, with the node that its pods wait for."""
GONE_S = 300.0
"""How long its pods may take to end what they were asked."""


@dataclass(frozen=True)
class InferenceService:
    """One of a namespace, by its name. Blocking: called in threads."""

    api: KubernetesApi
    name: str

    def stop(self, by: str = "") -> None:
        """Takes its pods away, and with them its GPUs; returns when they are gone. `by` is the run
        that may `release` it.
        """
        self._patch({"metadata": {"annotations": {STOP: "true", STOPPED_BY: by or None}}})
        log.info("inference service %s: stopping", self.name)
        end = time.monotonic() + GONE_S
        while self.api.select("pods", POD_LABEL, self.name):
            if time.monotonic() > end:
                raise PlatformError(
                    f"inference service {self.name}: expected its pods to be gone {GONE_S:.0f} s "
                    "after it was stopped, saw some: look at them, and at KServe's controller"
                )
            time.sleep(LOOK_S)

    def start(self, wait_s: float = READY_S) -> None:
        """Lets it have pods; returns when it answers. Nothing to do where it was not stopped."""
        if _is_stopped(self._annotations()):
            self._let_start()
        self.wait_until_ready(wait_s)

    def release(self, by: str) -> bool:
        """Lets it have pods where this run took them and was ended before it gave them back, and
        does not wait for them; whether it was so.
        """
        annotations = self._annotations()
        if not _is_stopped(annotations) or annotations.get(STOPPED_BY) != by:
            return False
        self._let_start()
        return True

    def serve(self, uri: str, wait_s: float = READY_S) -> None:
        """Rolls out the checkpoint at a URI; returns when it alone is served."""
        before = self._get()
        if before["spec"]["predictor"]["model"].get("storageUri") == uri:
            self.wait_until_ready(wait_s)
            return
        self._patch({"spec": {"predictor": {"model": {"storageUri": uri}}}})
        self.wait_until_ready(wait_s, changed_since=before)

    def served(self) -> str:
        """The URI of the checkpoint that it is to serve."""
        return str(self._get()["spec"]["predictor"]["model"].get("storageUri", ""))

    def wait_until_ready(self, wait_s: float, changed_since: Json | None = None) -> None:
        """Returns when its pods answer, and all are of what it was changed to."""
        end = time.monotonic() + wait_s
        while not (is_ready(seen := self._get(), changed_since) and self._pods_answer()):
            if time.monotonic() > end:
                raise PlatformError(
                    f"inference service {self.name}: expected it to be ready within {wait_s:.0f} "
                    f"s, saw {why_not(seen)}: look at its pods"
                )
            time.sleep(LOOK_S)

    def _pods_answer(self) -> bool:
        """Whether it has pods that are ready, and no others: its status can be of those before."""
        pods = self.api.select("pods", POD_LABEL, self.name)
        return bool(pods) and all(answers(pod) for pod in pods)

    def _get(self) -> Json:
        return self._there(self.api.get("inferenceservices", self.name))

    def _annotations(self) -> dict[str, str]:
        return dict(self._get()["metadata"].get("annotations", {}))

    def _let_start(self) -> None:
        self._patch({"metadata": {"annotations": {STOP: "false", STOPPED_BY: None}}})
        log.info("inference service %s: starting", self.name)

    def _patch(self, change: Json) -> None:
        self._there(self.api.patch("inferenceservices", self.name, change))

    def _there(self, found: Json | None) -> Json:
        if found is None:
            raise ConfigError(
                f"inference service {self.name}: expected it in namespace {self.api.namespace}, "
                "saw none: install the chart's present version there"
            )
        return found


def _is_stopped(annotations: dict[str, str]) -> bool:
    return annotations.get(STOP, "").lower() == "true"


def is_ready(service: Json, changed_since: Json | None = None) -> bool:
    """Whether its status says that all of it is ready; with `changed_since`, as it was before a
    change, only if its controller has acted on that.

    KServe's `observedGeneration` is that of its Deployment, which grows with each change of it.
    """
    status: dict[str, Any] = service.get("status", {})
    if changed_since is not None:
        before = changed_since.get("status", {}).get("observedGeneration", 0)
        if status.get("observedGeneration", 0) <= before:
            return False
    moved = status.get("modelStatus", {}).get("transitionStatus", "UpToDate")
    conditions = _conditions(service)
    stopped = conditions.get("Stopped", "False") != "False"
    return moved == "UpToDate" and conditions.get("Ready") == "True" and not stopped


def answers(pod: Json) -> bool:
    """Whether a pod is ready, and is not about to go."""
    ready = [c["status"] for c in pod["status"].get("conditions") or [] if c["type"] == "Ready"]
    return ready == ["True"] and "deletionTimestamp" not in pod["metadata"]


def why_not(service: Json) -> str:
    """What its conditions say, for a person."""
    conditions = service.get("status", {}).get("conditions") or []
    said = [
        f"{c['type']}: {c.get('reason') or c['status']} {c.get('message', '')}".strip()
        for c in conditions
        if c["status"] != "True"
    ]
    return "; ".join(said) or "that its controller has not looked at the last change yet"


def _conditions(service: Json) -> dict[str, str]:
    conditions = service.get("status", {}).get("conditions") or []
    return {condition["type"]: condition["status"] for condition in conditions}
