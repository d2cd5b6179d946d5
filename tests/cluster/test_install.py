"""What the chart makes works, and is allowed no more than it needs."""

import os
from datetime import datetime, timedelta

import pytest

from roundsmith.config import cpu_count
from tests.cluster.conftest import Installed
from tests.cluster.world import NAMESPACE, RELEASE, SANDBOX

QUIET, BUSY = timedelta(minutes=3), timedelta(minutes=10)
"""The chart's promise, for a machine that does nothing else."""


def test_every_pod_is_ready_in_minutes(installed: Installed) -> None:
    within = QUIET if max(installed.load, *os.getloadavg()) < cpu_count() else BUSY
    labels = [item["metadata"]["labels"] for item in installed.pods]
    components = [label["app.kubernetes.io/component"] for label in labels]
    services = ["executor", "generator", "pair-builder", "sandbox", "scorer", "serve"]
    assert sorted(components) == services
    for item in installed.pods:
        [ready] = [c for c in item["status"]["conditions"] if c["type"] == "Ready"]
        assert ready["status"] == "True", item["metadata"]["name"]
        times = item["metadata"]["creationTimestamp"], ready["lastTransitionTime"]
        made, at = (datetime.fromisoformat(told) for told in times)
        assert at - made < within, item["metadata"]["name"]
    for service in installed.cluster.get("inferenceservices")["items"]:
        states = {c["type"]: c["status"] for c in service["status"]["conditions"]}
        assert states["Ready"] == "True", service["metadata"]["name"]


def test_helm_test_asked_every_service_and_took_its_pod_away(installed: Installed) -> None:
    assert "Phase:          Succeeded" in installed.said
    names = installed.cluster.kubectl("get", "pods", "-o", "name")
    assert f"{RELEASE}-test" not in names


@pytest.mark.parametrize(
    ("verb", "what", "allowed"),
    [
        ("create", "pytorchjobs.kubeflow.org", "yes"),
        ("get", "pods --subresource=log", "yes"),
        ("list", "pods", "yes"),
        ("get", "pods", "no"),
        ("get", f"configmaps/{RELEASE}-cluster", "no"),
        ("get", "secrets", "no"),
        ("create", "pods", "no"),
        ("create", "pods/exec", "no"),
        ("patch", "inferenceservices.serving.kserve.io", "no"),
        ("list", "namespaces", "no"),
    ],
)
def test_a_round_may_ask_of_kubernetes(
    installed: Installed, verb: str, what: str, allowed: str
) -> None:
    account = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-control"
    done = installed.cluster.answered("auth", "can-i", verb, *what.split(), "--as", account)
    assert done.stdout.split()[-1] == allowed


def test_a_pod_that_is_not_restricted_is_refused_beside_the_sandbox(installed: Installed) -> None:
    done = installed.cluster.try_(
        *("kubectl", "--namespace", SANDBOX, "run", "intruder", "--image=roundsmith-control:0.1.0"),
        *("--privileged", "--dry-run=server"),
    )
    assert done.returncode != 0
    assert "violates PodSecurity" in done.stderr
