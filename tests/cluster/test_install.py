"""What the chart makes works, and is allowed no more than it needs."""

import pytest

from tests.cluster.conftest import Installed
from tests.cluster.test_sandbox import in_the_end
from tests.cluster.world import NAMESPACE, RELEASE, SANDBOX, Object

PODS = ("executor", "generator", "pair-builder", "sandbox", "scorer", "serve")
SERVED = ("generator", "serve")
READY_S = 180.0
ENDED = ("Succeeded", "Failed")
COMPONENT = "app.kubernetes.io/component"


def test_every_service_has_its_pod_which_is_ready(installed: Installed) -> None:
    def pods() -> list[tuple[str, str]]:
        places = (installed.cluster.get("pods", namespace=n) for n in (NAMESPACE, SANDBOX))
        found = (item for place in places for item in place["items"])
        # Rounds leave the pods of their Jobs, which have ended.
        running = (item for item in found if item["status"]["phase"] not in ENDED)
        return sorted((item["metadata"]["labels"][COMPONENT], ready(item)) for item in running)

    def served() -> dict[str, str]:
        found = installed.cluster.get("inferenceservices")["items"]
        return {item["metadata"]["name"]: ready(item) for item in found}

    expected = [(name, "True") for name in PODS]
    assert in_the_end(pods, expected) == expected
    every = {f"{RELEASE}-{name}": "True" for name in SERVED}
    assert in_the_end(served, every) == every


def test_every_pod_is_ready_three_minutes_after_the_installation_began(
    installed: Installed,
) -> None:
    """Its images are there: what builds them is over before the clock of the cluster is read."""
    took = {name: seconds for name, seconds in installed.ready_s.items() if name in PODS}
    assert sorted(took) == sorted(PODS), installed.ready_s
    print(f"ready after {took} s")
    assert max(took.values()) < READY_S, took


def ready(item: Object) -> str:
    """What the status of a pod or of a service says of that; a busy machine may take it back for a
    moment.
    """
    held = {c["type"]: c["status"] for c in item["status"].get("conditions", ())}
    return str(held.get("Ready", "Unknown"))


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
