"""Why pods wait, or were ended, in the words of who looks after them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod does not run, or did not; `ended` where its container printed why."""

    pod: str
    reason: str
    ended: bool = False

    def __str__(self) -> str:
        return f"{self.pod}: {self.reason}"


def troubles(pods: Sequence[Mapping[str, Any]]) -> list[Trouble]:
    """What a person would want to know of pods that wait or were restarted."""
    return [trouble for pod in pods for trouble in _troubles(pod)]


def _troubles(pod: Mapping[str, Any]) -> Iterator[Trouble]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            yield Trouble(name, f"not scheduled: {condition.get('message', 'no node fits')}")
    if status.get("reason"):
        yield Trouble(name, f"{status['reason']}: {status.get('message', '')}")
    for container in status.get("containerStatuses") or []:
        waiting = container.get("state", {}).get("waiting") or {}
        # ContainerCreating and PodInitializing are how every pod begins.
        if waiting.get("reason", "").startswith(("Err", "Image", "Invalid", "Create")):
            yield Trouble(name, f"{waiting['reason']}: {waiting.get('message', '')}")
        for when in ("state", "lastState"):
            ended = container.get(when, {}).get("terminated")
            if ended and ended.get("exitCode"):
                count = container.get("restartCount", 0)
                why = f"{ended.get('reason', 'Error')}, exit code {ended['exitCode']}"
                yield Trouble(name, f"{why}, restarted {count} times", ended=True)
