"""A training in pods: submitted once, followed to its end, then removed."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from roundsmith.errors import PlatformError
from roundsmith.platform.cluster_config import TRAINING_CONTAINER
from roundsmith.platform.kubernetes_api import Json, KubernetesApi
from roundsmith.platform.pytorchjob import JOB_LABEL, State, Trouble, same_spec, state, troubles
from roundsmith.training.area import TrainingArea
from roundsmith.training.progress import Progress, ProgressTail

log = logging.getLogger(__name__)

FIRST_LOOK_S, LAST_LOOK_S = 0.5, 5.0
"""How long between two looks at a job: it grows while nothing changes."""
_TAIL_LINES = 30


async def run_in_pods(
    api: KubernetesApi,
    job: Json,
    area: TrainingArea,
    on_progress: Callable[[Progress], None],
) -> None:
    """Create the job, or go on with the same one, and follow it until it says that it succeeded.

    What it made is in the area, and what it says counts for nothing without that. A job that was
    cancelled is left to its owner, which a run that is started again may be once more; without one
    it is removed, and its checkpoints stay. Raises ConfigError or EngineError where the training
    ended with one, PlatformError where its pods did.
    """
    name = job["metadata"]["name"]
    tail = ProgressTail(area.progress, seen=await asyncio.to_thread(area.progress))
    await asyncio.to_thread(submit, api, job)
    keep = False
    try:
        await _Followed(api, name, area, tail, on_progress).to_its_end()
    except PlatformError:
        keep = True  # to be looked at, for as long as the manifest says
        raise
    except asyncio.CancelledError:
        keep = "ownerReferences" in job["metadata"]
        raise
    finally:
        if not keep:
            await asyncio.shield(asyncio.to_thread(api.delete, "pytorchjobs", name))


def submit(api: KubernetesApi, job: Json) -> None:
    """Create a job; one of the same name and spec that is still under way is gone on with, any
    other is replaced: both work on the same checkpoints.
    """
    name = job["metadata"]["name"]
    while api.create("pytorchjobs", job) is None:
        there = api.get("pytorchjobs", name)
        if there is None:
            continue
        ended = state(there)[0] in (State.SUCCEEDED, State.FAILED)
        if same_spec(there, job) and not ended and not there["metadata"].get("deletionTimestamp"):
            log.info("PyTorchJob %s is under way: following it", name)
            return
        log.info("PyTorchJob %s is replaced", name)
        api.delete("pytorchjobs", name)
    log.info("PyTorchJob %s is created", name)


@dataclass
class _Followed:
    api: KubernetesApi
    name: str
    area: TrainingArea
    tail: ProgressTail
    on_progress: Callable[[Progress], None]
    seen: dict[str, str] = field(default_factory=dict)
    """The last trouble of each pod."""
    printed: dict[str, str] = field(default_factory=dict)
    """The end of the log of each pod that was restarted: its pod may be gone when the job fails."""

    async def to_its_end(self) -> None:
        wait_s = FIRST_LOOK_S
        while True:
            found, fresh = await asyncio.to_thread(self._look)
            for progress in fresh:
                self.on_progress(progress)
            if found is State.SUCCEEDED:
                return
            wait_s = FIRST_LOOK_S if fresh else min(1.5 * wait_s, LAST_LOOK_S)
            await asyncio.sleep(wait_s)

    def _look(self) -> tuple[State, list[Progress]]:
        fresh = self.tail.fresh()
        if (failure := self.area.failure()) is not None:
            raise failure
        job = self.api.get("pytorchjobs", self.name)
        if job is None:
            raise PlatformError(
                f"PyTorchJob {self.name}: expected it to run until the training is finished, saw "
                "it gone: run again, the training goes on from its last checkpoint"
            )
        found, said = state(job)
        for trouble in troubles(self.api.select("pods", JOB_LABEL, self.name)):
            self._note(trouble)
        if found is State.FAILED:
            raise self._failed(said)
        # Steps that were told between the first look and the end.
        return found, [*fresh, *self.tail.fresh()] if found is State.SUCCEEDED else fresh

    def _note(self, trouble: Trouble) -> None:
        if self.seen.get(trouble.pod) == str(trouble):
            return
        self.seen[trouble.pod] = str(trouble)
        log.warning("%s", trouble)
        if trouble.ended:
            texts = (
                self.api.log(trouble.pod, TRAINING_CONTAINER, _TAIL_LINES, previous=previous)
                for previous in (True, False)
            )
            self.printed[trouble.pod] = next((text for text in texts if text), "")

    def _failed(self, said: str) -> PlatformError:
        why = "\n".join(self.seen.values()) or "its pods said nothing"
        logs = "\n".join(f"--- {pod}\n{text.rstrip()}" for pod, text in self.printed.items())
        return PlatformError(
            f"PyTorchJob {self.name}: expected it to succeed, saw it fail ({said}): {why}: mend "
            f"that and run again, the training goes on from its last checkpoint\n{logs}"
        )
