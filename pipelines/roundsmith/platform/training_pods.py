"""A training in pods: submitted once, followed to its end, then removed."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from roundsmith.errors import PlatformError
from roundsmith.platform.kubernetes_api import Json, Kind, KubernetesApi
from roundsmith.platform.manifests import same_spec
from roundsmith.platform.pod_troubles import Podless, Trouble, Unbegun, troubles
from roundsmith.platform.training_job import Asked, State, TrainingKind
from roundsmith.platform.training_memory import MemoryKills
from roundsmith.training.area import TrainingArea
from roundsmith.training.no_memory import NoMemory
from roundsmith.training.progress import Progress, ProgressTail

log = logging.getLogger(__name__)

FIRST_LOOK_S, LAST_LOOK_S = 0.5, 5.0
"""How long between two looks at a job: it grows while nothing changes."""
_TAIL_LINES = 30


async def run_in_pods(
    api: KubernetesApi,
    kind: TrainingKind,
    asked: Asked,
    area: TrainingArea,
    on_progress: Callable[[Progress], None],
) -> None:
    """Create the job, or go on with the same one, and follow it until it says that it succeeded.

    What it made is in the area, and what it says counts for nothing without that. A job that was
    cancelled is left to its owner, which a run that is started again may be once more; without
    one, and of a run that ends its trainings itself, it is removed, and its checkpoints stay.
    Raises ConfigError or EngineError where the training ended with one, NoMemory where it does not
    fit its pods, PlatformError where its pods failed otherwise.
    """
    tail = ProgressTail(area.progress, seen=await asyncio.to_thread(area.progress))
    await asyncio.to_thread(submit, api, kind, asked)
    keep = False
    try:
        await _Followed(api, kind, asked.name, area, tail, on_progress).to_its_end()
    except PlatformError:
        keep = True  # to be looked at, for as long as the manifest says
        raise
    except asyncio.CancelledError:
        keep = bool(asked.owners) and not asked.run
        raise
    finally:
        if not keep:
            await asyncio.shield(asyncio.to_thread(remove, api, kind, asked))


def submit(api: KubernetesApi, kind: TrainingKind, asked: Asked) -> None:
    """Create a job; one of the same name and spec that is still under way is gone on with, any
    other is replaced: both work on the same checkpoints. Where the job is refused, what was made
    for it goes, too: PlatformError.
    """
    objects = kind.manifests(asked)
    while not _all_created(api, objects):
        there = api.get(kind.kind, asked.name)
        if there is not None and same_spec(there, objects[-1][1]) and not _over(kind, there):
            log.info("%s %s is under way: following it", kind.title, asked.name)
            return
        log.info("%s %s is replaced", kind.title, asked.name)
        remove(api, kind, asked)
    log.info("%s %s is created", kind.title, asked.name)


def remove(api: KubernetesApi, kind: TrainingKind, asked: Asked) -> None:
    """Take a job away with its pods; returns when it is gone."""
    for made in reversed(kind.kinds):
        api.delete(made, asked.name)


def _all_created(api: KubernetesApi, objects: Sequence[tuple[Kind, Json]]) -> bool:
    """Whether no name was taken; PlatformError leaves none of those that were made."""
    made: list[tuple[Kind, Json]] = []
    try:
        for kind, manifest in objects:
            if api.create(kind, manifest) is None:
                return False
            made.append((kind, manifest))
    except PlatformError:
        for kind, manifest in reversed(made):
            api.delete(kind, manifest["metadata"]["name"])
        raise
    return True


def _over(kind: TrainingKind, job: Json) -> bool:
    ended = kind.state(job)[0] in (State.SUCCEEDED, State.FAILED)
    return ended or bool(job["metadata"].get("deletionTimestamp"))


@dataclass
class _Followed:
    api: KubernetesApi
    kind: TrainingKind
    name: str
    area: TrainingArea
    tail: ProgressTail
    on_progress: Callable[[Progress], None]
    found: State | None = None
    """How far the job was when it was last looked at."""
    seen: dict[str, str] = field(default_factory=dict)
    """The last trouble of each pod."""
    printed: dict[str, str] = field(default_factory=dict)
    """The last end of a log that could be read of each pod that was restarted: the pod may be gone
    when the job fails.
    """
    left: dict[str, str] = field(default_factory=dict)
    """The last message in the status of each pod that ended: the end of its log, which can be read
    there when the container and its log are gone.
    """
    kills: MemoryKills = field(init=False)
    podless: Podless = field(init=False)
    unbegun: Unbegun = field(init=False)

    def __post_init__(self) -> None:
        kind, rest = self.kind.pods_by
        self.podless = Podless(self.api, kind, self.name + rest)
        self.unbegun = Unbegun(self.api)
        self.kills = MemoryKills(self.area, self.kind.container)

    async def to_its_end(self) -> None:
        wait_s = FIRST_LOOK_S
        while True:
            job, found, fresh = await asyncio.to_thread(self._look)
            for progress in fresh:
                self.on_progress(progress)
            if found is State.SUCCEEDED:
                return
            wait_s = FIRST_LOOK_S if fresh else min(1.5 * wait_s, LAST_LOOK_S)
            await asyncio.to_thread(self.api.wait, self.kind.kind, job, wait_s)

    def _look(self) -> tuple[Json, State, list[Progress]]:
        fresh = self.tail.fresh()
        if (failure := self.area.failure()) is not None:
            raise failure
        job = self.api.get(self.kind.kind, self.name)
        kept = self.area.result() is not None
        if job is None and not kept:
            raise PlatformError(
                f"{self.kind.title} {self.name}: expected it to run until the training is "
                "finished, saw it gone: run again, the training goes on from its last checkpoint"
            )
        found, said = self.kind.state(job or {})
        if found is not State.SUCCEEDED and kept:
            # A pod that lost another one after their last step waits for it in vain; and another
            # run that asked for the same training may have taken the job away.
            found, said = State.SUCCEEDED, "the trained model is kept"
        if found is not self.found:
            self.found = found
            log.info("%s %s is %s%s", self.kind.title, self.name, found, f": {said}" * bool(said))
        pods = self.api.select("pods", self.kind.pod_label, self.name)
        for trouble in (*troubles(pods), *self.unbegun.troubles(pods)):
            self._note(trouble)
        waits = not pods and found in (State.WAITING, State.RUNNING, State.RESTARTING)
        if (lack := self.podless.trouble(waits=waits)) is not None:
            self._note(lack)
        if found is State.FAILED:
            raise self._failed(said)
        if why := self.kills.in_vain(pods):
            raise NoMemory(f"{self.kind.title} {self.name}: {why}\n{self._logs()}")
        # Steps that were told between the first look and the end.
        late = self.tail.fresh() if found is State.SUCCEEDED else []
        return job or {}, found, [*fresh, *late]

    def _note(self, trouble: Trouble) -> None:
        fresh = self.seen.get(trouble.pod) != str(trouble)
        if fresh:
            self.seen[trouble.pod] = str(trouble)
            log.warning("%s", trouble)
        if trouble.message:
            self.left[trouble.pod] = trouble.message
        if trouble.ended and (fresh or trouble.pod not in self.printed):
            for previous in (True, False):
                if text := self.api.log(
                    trouble.pod, self.kind.container, _TAIL_LINES, previous=previous
                ):
                    self.printed[trouble.pod] = text
                    return

    def _failed(self, said: str) -> PlatformError:
        why = "\n".join(self.seen.values()) or "its pods said nothing"
        return PlatformError(
            f"{self.kind.title} {self.name}: expected it to succeed, saw it fail ({said}): {why}: "
            "mend that and run again, the training goes on from its last checkpoint\n"
            f"{self._logs()}"
        )

    def _logs(self) -> str:
        said_by = self.left | self.printed
        return "\n".join(f"--- {pod}\n{text.rstrip()}" for pod, text in said_by.items())
