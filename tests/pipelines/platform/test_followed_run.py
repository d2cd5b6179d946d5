"""How far a run on a cluster is taken to be, by its Job and its pods."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from roundsmith.errors import UnknownName
from roundsmith.platform.followed_run import Followed, Held, find_run, run_state, runs
from roundsmith.platform.kubernetes_api import Json, Kind, KubernetesApi

MADE, ENDED = "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"


def job(condition: str = "", **spec: Any) -> dict[str, Any]:
    """The Job of the run `first`, with a condition that holds."""
    held = {"type": condition, "status": "True", "lastTransitionTime": ENDED}
    return {
        "metadata": {
            "name": "r-first",
            "creationTimestamp": MADE,
            "labels": {"roundsmith.dev/run": "first"},
            "annotations": {"roundsmith.dev/options": json.dumps(["--seed", "1"])},
        },
        "spec": spec,
        "status": {"startTime": MADE, "conditions": [held] if condition else []},
    }


def pod(phase: str, **status: Any) -> dict[str, Any]:
    """A pod of it."""
    return {"metadata": {"name": "p"}, "status": {"phase": phase, **status}}


@pytest.mark.parametrize(
    ("seen", "pods", "state", "since"),
    [
        (job(), [], "waiting", MADE),
        (job(suspend=True), [], "queued", MADE),
        (job(), [pod("Pending")], "waiting", MADE),
        (job(), [pod("Failed"), pod("Running")], "running", MADE),
        (job("Complete"), [pod("Succeeded")], "done", ENDED),
        (job("Failed"), [pod("Failed")], "failed", ENDED),
        (job("FailureTarget"), [pod("Running")], "running", MADE),
    ],
)
def test_a_run_is_as_far_as_its_job_and_pods_are(
    seen: dict[str, Any], pods: list[dict[str, Any]], state: str, since: str
) -> None:
    found = run_state(seen, pods)
    assert (found.name, found.job, found.options) == ("first", "r-first", ("--seed", "1"))
    assert (found.state, found.since) == (state, since)


def test_what_keeps_a_run_waiting_is_told_and_forgotten_when_it_is_done() -> None:
    why = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: memory"}
    stuck = pod("Pending", conditions=[why])
    assert run_state(job(), [stuck]).troubles == ("p: not scheduled: 0/1 nodes: memory",)
    assert run_state(job("Complete"), [stuck]).troubles == ()


class Installation(KubernetesApi):
    """A namespace with the Job of one promotion, which belongs to no run."""

    def __init__(self) -> None:
        self.namespace = "ml"

    def get(self, kind: Kind, name: str) -> Json | None:
        metadata = {"name": name, "labels": {"app.kubernetes.io/component": "control"}}
        return {"metadata": metadata, "spec": {}, "status": {}}

    def select(self, kind: Kind, label: str, value: str = "") -> list[Json]:
        return []


def test_another_job_of_the_installation_is_no_run() -> None:
    with pytest.raises(UnknownName, match="run 'promote-1': expected one of none"):
        find_run(Installation(), "r", "promote-1")


def test_what_looks_at_the_cluster_is_no_run() -> None:
    looks = job()
    looks["metadata"] |= {"name": "r-doctor", "labels": {"roundsmith.dev/run": "doctor"}}

    class Looked(Installation):
        def get(self, kind: Kind, name: str) -> Json | None:
            return looks

        def select(self, kind: Kind, label: str, value: str = "") -> list[Json]:
            return [looks] if kind == "jobs" else []

    assert runs(Looked(), "r") == []
    with pytest.raises(UnknownName, match="run 'doctor': expected one of none"):
        find_run(Looked(), "r", "doctor")


class Queue(KubernetesApi):
    """A cluster with one Job, which is held back until it was looked at twice."""

    def __init__(self) -> None:
        self.jobs = [job(suspend=True), job(suspend=True), job("Complete")]

    def get(self, kind: Kind, name: str) -> Json | None:
        return self.jobs.pop(0)

    def select(self, kind: Kind, label: str, value: str = "") -> list[Json]:
        return []


def test_who_follows_a_run_is_told_once_that_it_waits_for_quota() -> None:
    warned: list[str] = []
    followed = Followed(Queue(), "r-first", show=warned.append, warn=warned.append)
    assert followed.to_its_end() == 0
    assert warned == ["job r-first is queued: it starts when its queue has quota"]


class Hiccup(KubernetesApi):
    """A cluster whose run is over, and whose log can not be read to its end at first."""

    def __init__(self) -> None:
        self.logs: list[list[tuple[str, str]]] = [[], [("1", "one")], [("1", "one"), ("2", "two")]]

    def get(self, kind: Kind, name: str) -> Json | None:
        return job("Complete") if len(self.logs) < 3 else job()

    def select(self, kind: Kind, label: str, value: str = "") -> list[Json]:
        there = pod("Succeeded")
        return [{**there, "metadata": {"name": "p", "creationTimestamp": MADE}}]

    def follow(self, pod: str, container: str, since: str = "") -> Iterator[tuple[str, str]]:
        yield from self.logs.pop(0)


def test_a_connection_that_ends_before_the_log_costs_no_line_of_a_run_that_is_over() -> None:
    shown: list[str] = []
    followed = Followed(Hiccup(), "r-first", show=shown.append, warn=shown.append)
    assert followed.to_its_end() == 0
    assert shown == ["one", "two"]


class Full(KubernetesApi):
    """A cluster whose quota has no room for the pod of a run."""

    def __init__(self, *pods: Json) -> None:
        self.pods = list(pods)

    def get(self, kind: Kind, name: str) -> Json | None:
        return job()

    def select(self, kind: Kind, label: str, value: str = "") -> list[Json]:
        return self.pods

    def warned(self, name: str, after: str = "") -> str:
        return f"FailedCreate: {name}: exceeded quota"


def test_a_run_whose_pod_can_not_be_made_says_what_kubernetes_warns_of_its_job() -> None:
    found = find_run(Full(), "r", "first")
    assert found.troubles == ("r-first: no pod of it: FailedCreate: r-first: exceeded quota",)
    there = {**pod("Running"), "metadata": {"name": "p", "creationTimestamp": MADE}}
    assert find_run(Full(there), "r", "first").troubles == ()


def test_a_run_whose_pod_does_not_begin_says_what_kubernetes_warns_of_that() -> None:
    there = {**pod("Pending"), "metadata": {"name": "p", "creationTimestamp": MADE}}
    found = find_run(Full(there), "r", "first")
    assert found.troubles == ("p: it has not begun: FailedCreate: p: exceeded quota",)
    why = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: memory"}
    told = {**there, "status": {"phase": "Pending", "conditions": [why]}}
    assert find_run(Full(told), "r", "first").troubles == ("p: not scheduled: 0/1 nodes: memory",)


def test_who_looks_at_a_cluster_gives_up_a_pod_that_is_kept_from_beginning() -> None:
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "keys" not found'}
    status = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
    there = {"metadata": {"name": "p", "creationTimestamp": MADE}, "status": status}
    warned: list[str] = []
    followed = Followed(Full(there), "r-doctor", warned.append, warned.append, held_s=0.0)
    with pytest.raises(Held, match='CreateContainerConfigError: secret "keys" not found'):
        followed.to_its_end()
    assert warned == ['p: CreateContainerConfigError: secret "keys" not found']
