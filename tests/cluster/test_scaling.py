"""The control loop of the sandbox pods against a real API server. The image of its pods does not
exist, so none of them starts: what is tried is what the executor asks Kubernetes for, and what that
does.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from roundsmith.errors import PlatformError
from roundsmith.executor.pod_scaling import PodScaling
from roundsmith.executor.pod_supervisors import PodSupervisors
from roundsmith.executor.sandbox_deployment import SandboxDeployment
from roundsmith.executor.settings import ExecutorSettings
from tests.cluster.world import UNANSWERED, answered, succeeded

NAME, MOST = "sandbox", 3
PATIENCE_S = 300.0
"""On a busy node controllers take their time."""
LABELS = {"app": NAME}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": NAME},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "c", "image": "roundsmith.invalid/none:1"}],
            },
        },
    },
}
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": NAME},
    "spec": {"hard": {"pods": str(MOST)}},
}


class Patient(SandboxDeployment):
    """As it is, but that a busy API server is asked again, as the loop asks it a second later."""

    def _call(self, verb: str, ask: Any) -> Any:
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return super()._call(verb, ask)
            except PlatformError as error:
                busy = re.search(r"server to answer|saw status (429|5\d\d)", str(error))
                if not busy or time.monotonic() > end:
                    raise
            time.sleep(1)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A namespace of a cluster with the Deployment and its quota; gone afterwards."""
    if not os.environ.get("KUBECONFIG") or shutil.which("kubectl") is None:
        pytest.skip("KUBECONFIG: expected the file that leads to a cluster and kubectl, saw none")
    name = f"roundsmith-scaling-{uuid.uuid4().hex[:8]}"
    _kubectl("create", "namespace", name)
    try:
        for manifest in (QUOTA, DEPLOYMENT):
            _kubectl("apply", "--namespace", name, "--filename", "-", given=json.dumps(manifest))
        yield name
    finally:
        _kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def deployment(namespace: str) -> SandboxDeployment:
    """The Deployment with one pod."""
    found = Patient(f"{namespace}/{NAME}")
    found.scale(1)
    _until(lambda: len(found.pods()) == 1)
    return found


def test_the_pod_that_is_to_go_first_goes(deployment: SandboxDeployment) -> None:
    def waiting_alike() -> bool:
        """A pod without a node would go before any other."""
        return len(deployment.pods()) == MOST == _placed(deployment.namespace)

    deployment.scale(MOST)
    _until(waiting_alike)
    victim, another, _ = sorted(pod.name for pod in deployment.pods())
    deployment.prefer(victim)
    deployment.delete(another)  # who replaces it has heard of what was said before
    _until(lambda: another not in {pod.name for pod in deployment.pods()} and waiting_alike())
    kept = {pod.name for pod in deployment.pods()} - {victim}
    deployment.scale(MOST - 1)
    _until(lambda: {pod.name for pod in deployment.pods()} == kept)


def test_a_pod_that_is_deleted_is_replaced_and_one_that_is_gone_is_fine(
    deployment: SandboxDeployment,
) -> None:
    (before,) = deployment.pods()
    deployment.delete(before.name)
    _until(lambda: [pod.name != before.name for pod in deployment.pods()] == [True])
    deployment.delete(before.name)
    assert not deployment.pods()[0].ready


def test_a_quota_that_is_used_up_is_told(deployment: SandboxDeployment) -> None:
    _until(lambda: deployment.trouble() == "")  # what was refused before is told a while longer
    asked = MOST + 1
    deployment.scale(asked)

    def told() -> bool:
        nonlocal asked
        if len(deployment.pods()) == asked:
            # Kubernetes counts a quota a moment late: after pods went it may let one more in.
            asked += 1
            deployment.scale(asked)
        return "exceeded quota" in deployment.trouble()

    _until(told)
    assert MOST <= len(deployment.pods()) < asked


def test_the_loop_follows_the_queue_up_at_once_and_down_after_the_quiet_time(
    deployment: SandboxDeployment, namespace: str
) -> None:
    def followed(demand: int, pod_idle_s: float, until: int) -> float:
        """The seconds until the loop asks for so many pods."""
        settings = ExecutorSettings(
            pool="pods",
            sandboxes="127.0.0.1:1",
            slots=12,
            deployment=f"{namespace}/{NAME}",
            max_pods=MOST,
            pod_idle_s=pod_idle_s,
        )

        async def follow() -> float:
            began = time.monotonic()
            scaling = PodScaling(settings, PodSupervisors(settings), lambda: demand)
            running = asyncio.create_task(scaling.run())
            try:
                await asyncio.to_thread(_until, lambda: deployment.replicas() == until)
                return time.monotonic() - began
            finally:
                running.cancel()

        return asyncio.run(follow())

    followed(demand=12, pod_idle_s=10 * PATIENCE_S, until=MOST)  # up before any quiet time is over
    assert followed(demand=0, pod_idle_s=4, until=1) > 2 * 4, "two pods, each with its quiet time"


def _until(holds: Callable[[], bool]) -> None:
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < PATIENCE_S, f"it did not come to hold in {PATIENCE_S} s"
        time.sleep(0.2)


def _placed(namespace: str) -> int:
    """How many pods have a node."""
    nodes = "jsonpath={range .items[*]}{.spec.nodeName} {end}"
    return len(_kubectl("get", "pods", "--namespace", namespace, "-o", nodes).split())


def _kubectl(*command: str, given: str = "") -> str:
    words = ["kubectl", *command]

    def ask() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words, input=given, capture_output=True, text=True, check=False, timeout=300
        )

    return succeeded(answered(ask, UNANSWERED))
