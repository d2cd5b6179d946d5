"""A run on a cluster as it is looked at from outside: its log as it comes, and how far it is."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from roundsmith.errors import ConfigError, PlatformError, UnknownName
from roundsmith.platform.cluster_config import CONTROL_CONTAINER
from roundsmith.platform.control_job import (
    JOB_LABEL,
    LOOK_S,
    OPTIONS,
    TAKEN,
    exit_code,
    finished,
)
from roundsmith.platform.kubernetes_api import Json, KubernetesApi
from roundsmith.platform.manifests import RUN
from roundsmith.platform.pod_troubles import (
    Podless,
    Trouble,
    Unbegun,
    scheduled,
    troubles,
    waits_silently,
)


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run is, and what it was asked for."""

    name: str
    job: str
    state: str
    """queued (for its queue's quota), waiting, running, done or failed."""
    since: str
    """When it got there, as far as Kubernetes tells, else when it was submitted."""
    options: tuple[str, ...]
    troubles: tuple[str, ...] = ()
    """Why its pods do not run."""


def run_state(job: Json, pods: list[Json]) -> RunState:
    """How far the run of a Job is, by the Job and its pods."""
    metadata, status = job["metadata"], job.get("status", {})
    conditions = {c["type"]: c for c in status.get("conditions") or [] if c["status"] == "True"}
    made = metadata.get("creationTimestamp", "")
    good = finished(job)
    if good is not None:
        ended = conditions["Complete" if good else "Failed"]
        state, since = ("done" if good else "failed"), ended.get("lastTransitionTime", made)
    elif job["spec"].get("suspend"):
        state, since = "queued", made
    elif any(pod.get("status", {}).get("phase") == "Running" for pod in pods):
        state, since = "running", status.get("startTime", made)
    else:
        state, since = "waiting", made
    return RunState(
        metadata["labels"][RUN],
        metadata["name"],
        state,
        since,
        tuple(json.loads(metadata.get("annotations", {}).get(OPTIONS, "[]"))),
        () if good else tuple(map(str, troubles(pods))),
    )


def runs(api: KubernetesApi, release: str) -> list[RunState]:
    """The runs of an installation, the latest first."""
    own = [job for job in api.select("jobs", RUN) if _of(job, release)]
    own.sort(key=lambda job: str(job["metadata"]["creationTimestamp"]), reverse=True)
    return [_looked_at(api, job) for job in own]


def find_run(api: KubernetesApi, release: str, run: str) -> RunState:
    """A run by its name. Raises UnknownName with those that there are."""
    job = api.get("jobs", f"{release}-{run}")
    # Others that the installation has made, such as one that promotes, are no runs.
    if job is not None and job["metadata"].get("labels", {}).get(RUN) and _of(job, release):
        return _looked_at(api, job)
    known = ", ".join(found.name for found in runs(api, release)) or "none"
    raise UnknownName(
        f"run {run!r}: expected one of {known} in namespace {api.namespace}, saw no such: check "
        "the name, --namespace and --release; a run is kept for a week after its end"
    )


def _looked_at(api: KubernetesApi, job: Json) -> RunState:
    """A run as its Job and pods are; where none of them can be made, or one does not begin and does
    not say why, with what Kubernetes says.
    """
    found = run_state(job, pods := _pods(api, job["metadata"]["name"]))
    if found.state != "waiting":
        return found
    if not pods:
        why = api.warned(found.job)
        return replace(found, troubles=(f"{found.job}: no pod of it: {why}",)) if why else found
    silent = [(pod["metadata"]["name"], scheduled(pod)) for pod in pods if waits_silently(pod)]
    told = [
        f"{name}: it has not begun: {why}"
        for name, after in silent
        if (why := api.warned(name, after))
    ]
    return replace(found, troubles=(*found.troubles, *told))


def _of(job: Json, release: str) -> bool:
    metadata = job["metadata"]
    run = metadata["labels"][RUN]
    return bool(metadata["name"] == f"{release}-{run}" and run not in TAKEN)


def _pods(api: KubernetesApi, job: str) -> list[Json]:
    pods = api.select("pods", JOB_LABEL, job)
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


class Held(PlatformError):
    """A job whose pod is kept from beginning."""


@dataclass
class Followed:
    """A run that is looked at: what it prints goes to `show`, what its pods wait for to `warn`."""

    api: KubernetesApi
    name: str
    show: Callable[[str], None]
    warn: Callable[[str], None]
    held_s: float = math.inf
    """How long its pod may be kept from beginning by what was told of it."""
    _shown: dict[str, str] = field(default_factory=dict)
    """The time of the last line shown, by pod."""
    _warned: set[str] = field(default_factory=set)
    _held_since_s: float | None = None

    def to_its_end(self) -> int:
        """The exit code of the run; every line that its pods printed was shown. Raises Held."""
        podless, unbegun = Podless(self.api, "jobs", self.name), Unbegun(self.api)
        while True:
            job = self.api.get("jobs", self.name)
            if job is None:
                raise ConfigError(
                    f"job {self.name}: expected it to be there until the run is over, saw it "
                    "removed: submit the run again, and it goes on"
                )
            if job["spec"].get("suspend"):
                self._warn_once(f"job {self.name} is queued: it starts when its queue has quota")
            pods = _pods(self.api, self.name)
            waits = not pods and not job["spec"].get("suspend") and finished(job) is None
            lack = podless.trouble(waits=waits)
            overdue = [*([lack] if lack else []), *unbegun.troubles(pods)]
            for trouble in overdue:
                self._warn_once(str(trouble))
            for pod in pods:
                self._show(pod)
            if (good := finished(job)) is not None:
                for pod in pods:  # again: a connection may have ended before the log did
                    self._show(pod)
                codes = [code for pod in pods if (code := exit_code(pod)) is not None]
                return 0 if good else (codes[-1] if codes and codes[-1] else 1)
            self._look_whether_held(pods, overdue)
            time.sleep(LOOK_S)

    def _look_whether_held(self, pods: Sequence[Json], overdue: Sequence[Trouble]) -> None:
        begun = any(pod["status"].get("phase") != "Pending" for pod in pods)
        told = [*overdue, *([] if begun else troubles(pods))]
        if not told:
            self._held_since_s = None
            return
        now_s = time.monotonic()
        self._held_since_s = self._held_since_s or now_s
        waited_s = math.inf if overdue else now_s - self._held_since_s
        if waited_s > self.held_s:
            raise Held("; ".join(map(str, told)))

    def _show(self, pod: Json) -> None:
        name = pod["metadata"]["name"]
        for trouble in troubles([pod]):
            self._warn_once(str(trouble))
        if pod["status"].get("phase") == "Pending":
            return
        # Asked from the second of the last line on: what was shown of that second is left out.
        last = self._shown.get(name, "")
        for at, text in self.api.follow(name, CONTROL_CONTAINER, since=last):
            if at > last:
                self._shown[name] = at
                self.show(text)

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.warn(text)
