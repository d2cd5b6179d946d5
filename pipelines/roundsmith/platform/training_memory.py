"""Pods of a training that are killed for want of memory, and when trying again is in vain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roundsmith.platform.pod_troubles import OOM_KILLED, memory_limit
from roundsmith.training.area import TrainingArea
from roundsmith.training.no_memory import smaller


@dataclass
class MemoryKills:
    """What is seen of them. A pod that is killed at its limit twice, with no checkpoint stored
    between, did the same steps twice; where one was, memory may have crept, and each try comes
    further. Without a limit it is the node whose memory ran out, of which others take a part.
    """

    area: TrainingArea
    container: str
    _last: dict[str, tuple[Mapping[str, Any], int]] = field(default_factory=dict)
    """Of each pod how it ended, and the step of the checkpoint that was there then."""

    def in_vain(self, pods: Sequence[Mapping[str, Any]]) -> str:
        """Why it is, with what needs less; empty while another try may end otherwise."""
        for pod in pods:
            name, limit = pod["metadata"]["name"], memory_limit(pod, self.container)
            last, step = self._last.get(name, (None, -1))
            ended = _killed(pod, self.container)
            if not ended or not limit or ended == last:
                continue
            checkpoint = self.area.checkpoint()
            now = checkpoint.step if checkpoint else 0
            if now == step:
                return self._told(name, limit, now)
            self._last[name] = ended, now
        return ""

    def _told(self, pod: str, limit: str, step: int) -> str:
        since = f"after the checkpoint of step {step}" if step else "before its first checkpoint"
        return (
            f"expected its pods to fit into their memory, saw {pod} killed for want of it twice "
            f"{since}, at its limit of {limit}: it is ended, because it would go on so: raise "
            "training.resources.limits.memory in the chart's values, or set under its [training] "
            f"{smaller(self.area.request().stage)}; its other settings stay, what the round has "
            "sampled too"
        )


def _killed(pod: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    """How a container ended that was killed for want of memory last; empty where it was not."""
    for status in pod.get("status", {}).get("containerStatuses") or []:
        for when in ("state", "lastState"):
            ended: Mapping[str, Any] = status.get(when, {}).get("terminated") or {}
            if ended and status["name"] == container:
                return ended if ended.get("reason") == OOM_KILLED else {}
    return {}
