"""A run on a cluster as it is looked at from outside: its log as it comes, and how far it is."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from roundsmith.errors import ConfigError, UnknownName
from roundsmith.platform.cluster_config import CONTROL_CONTAINER
from roundsmith.platform.control_job import (
    JOB_LABEL,
    LOOK_S,
    OPTIONS,
    exit_code,
    finished,
)
from roundsmith.platform.kubernetes_api import Json, KubernetesApi
from roundsmith.platform.manifests import RUN
from roundsmith.platform.pod_troubles import Podless, troubles


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
    if job is not None and job["metadata"].get("labels", {}).get(RUN) == run:
        return _looked_at(api, job)
    known = ", ".join(found.name for found in runs(api, release)) or "none"
    raise UnknownName(
        f"run {run!r}: expected one of {known} in namespace {api.namespace}, saw no such: check "
        "the name, --namespace and --release; a run is kept for a week after its end"
    )


def _looked_at(api: KubernetesApi, job: Json) -> RunState:
    """A run as its Job and pods are; where none of them can be made, with what Kubernetes says."""
    found = run_state(job, pods := _pods(api, job["metadata"]["name"]))
    if pods or found.state != "waiting" or not (why := api.warned(found.job)):
        return found
    return replace(found, troubles=(f"{found.job}: no pod of it: {why}",))


def _of(job: Json, release: str) -> bool:
    metadata = job["metadata"]
    return bool(metadata["name"] == f"{release}-{metadata['labels'][RUN]}")


def _pods(api: KubernetesApi, job: str) -> list[Json]:
    pods = api.select("pods", JOB_LABEL, job)
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


@dataclass
class Followed:
    """A run that is looked at: what it prints goes to `show`, what its pods wait for to `warn`."""

    api: KubernetesApi
    name: str
    show: Callable[[str], None]
    warn: Callable[[str], None]
    _shown: dict[str, str] = field(default_factory=dict)
    """The time of the last line shown, by pod."""
    _warned: set[str] = field(default_factory=set)

    def to_its_end(self) -> int:
        """The exit code of the run; every line that its pods printed was shown."""
        podless = Podless(self.api, "jobs", self.name)
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
            if (trouble := podless.trouble(waits=waits)) is not None:
                self._warn_once(str(trouble))
            for pod in pods:
                self._show(pod)
            if (good := finished(job)) is not None:
                for pod in pods:  # again: a connection may have ended before the log did
                    self._show(pod)
                codes = [code for pod in pods if (code := exit_code(pod)) is not None]
                return 0 if good else (codes[-1] if codes and codes[-1] else 1)
            time.sleep(LOOK_S)

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
