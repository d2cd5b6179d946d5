"""The control loop of the sandbox pods against a real API server. The image of its pods does not
exist, so none of them starts: what is tried is what the executor asks Kubernetes for, and what that
does.
"""

import asyncio
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from roundsmith.executor.pod_scaling import PodScaling
from roundsmith.executor.pod_supervisors import PodSupervisors
from roundsmith.executor.sandbox_deployment import SandboxDeployment
from roundsmith.executor.settings import ExecutorSettings

NAME, MOST = "sandbox", 3
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
    found = SandboxDeployment(f"{namespace}/{NAME}")
    found.scale(1)
    _until(lambda: len(found.pods()) == 1)
    return found


def test_the_pod_that_is_to_go_first_goes(deployment: SandboxDeployment) -> None:
    deployment.scale(MOST)
    # Of pods that wait alike; one without a node would go before any other.
    _until(lambda: len(deployment.pods()) == MOST == _placed(deployment.namespace))
    victim = sorted(pod.name for pod in deployment.pods())[1]
    kept = {pod.name for pod in deployment.pods()} - {victim}
    deployment.prefer(victim)
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
    assert deployment.trouble() == ""
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
    wanted, asked_at = 12, 0.0
    settings = ExecutorSettings(
        pool="pods",
        sandboxes="127.0.0.1:1",
        slots=12,
        deployment=f"{namespace}/{NAME}",
        max_pods=MOST,
        pod_idle_s=4,
    )

    def demand() -> int:
        nonlocal asked_at
        asked_at = time.monotonic() if wanted else asked_at
        return wanted

    async def follow() -> tuple[float, float]:
        nonlocal wanted
        scaling = PodScaling(settings, PodSupervisors(settings), demand)
        running = asyncio.create_task(scaling.run())
        try:
            up_s = await asyncio.to_thread(_until, lambda: deployment.replicas() == MOST)
            wanted = 0
            await asyncio.to_thread(_until, lambda: deployment.replicas() == 1)
            return up_s, time.monotonic() - asked_at
        finally:
            running.cancel()

    up_s, down_s = asyncio.run(follow())
    assert up_s < 60
    assert down_s > 2 * 4, "two pods went before the quiet time of each"


def _until(holds: Callable[[], bool]) -> float:
    """The seconds until it holds; on a busy node controllers take their time."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < 180, "it did not come to hold in 180 s"
        time.sleep(0.2)
    return time.monotonic() - start


def _placed(namespace: str) -> int:
    """How many pods have a node."""
    nodes = "jsonpath={range .items[*]}{.spec.nodeName} {end}"
    return len(_kubectl("get", "pods", "--namespace", namespace, "-o", nodes).split())


def _kubectl(*command: str, given: str = "") -> str:
    words = ["kubectl", *command]
    done = subprocess.run(
        words, input=given, text=True, check=True, timeout=300, stdout=subprocess.PIPE
    )
    return done.stdout
