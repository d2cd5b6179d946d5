"""Whoever calls the services notices neither an upgrade nor its rollback."""

import time
from collections.abc import Iterator

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types

from tests.cluster.conftest import Installed
from tests.cluster.world import BIN, NAMESPACE, RELEASE, ROOT, Cluster

CALLER = f"{RELEASE}-caller"
CALLS = """
import asyncio, itertools, json, pathlib
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.service_checks import service_checks

endpoints = ClusterConfig.read(pathlib.Path("/etc/roundsmith/cluster.json")).endpoints

async def main():
    for number in itertools.count(1):
        for check in await service_checks(endpoints, 300):
            if not check.ok:
                print(json.dumps([check.name, check.detail]), flush=True)
        print(number, flush=True)

asyncio.run(main())
"""
"""Asks every service for a piece of work, over and over."""
CHANGES = (
    *("--set", "models.startupSeconds=601"),
    *("--set", "executor.slots=3"),
    *("--set", "pairBuilder.resources.limits.memory=900Mi"),
)
"""What makes all services start anew."""


@pytest.fixture
def caller(installed: Installed) -> Iterator[Cluster]:
    """The cluster with a pod that calls all services, as `helm test` may."""
    cluster = installed.cluster
    hooks = cluster.run(BIN / "helm", "get", "hooks", RELEASE, "--namespace", NAMESPACE)
    [pod] = [made for made in yaml.safe_load_all(hooks) if made["kind"] == "Pod"]
    pod["metadata"] = {"name": CALLER, "labels": pod["metadata"]["labels"]}
    [container] = pod["spec"]["containers"]
    container |= {"command": ["python", "-c", CALLS], "args": []}
    cluster.apply(pod)
    try:
        yield cluster
    finally:
        cluster.kubectl("delete", "pod", CALLER, "--ignore-not-found", "--wait=true")


def test_an_upgrade_and_its_rollback_cost_no_call(caller: Cluster) -> None:
    helm, where = BIN / "helm", ("--namespace", NAMESPACE, "--wait", "--timeout", "10m")
    begun = _rounds(caller, 1)
    before = _pods(caller)
    chart = ROOT / "charts/roundsmith"
    caller.run(helm, "upgrade", RELEASE, chart, *where, "--reset-then-reuse-values", *CHANGES)
    upgraded = _rounds(caller, begun + 1)
    caller.run(helm, "rollback", RELEASE, *where)
    _rounds(caller, upgraded + 1)
    after = _pods(caller)
    assert set(before) == set(after)
    assert all(before[component].isdisjoint(after[component]) for component in before)
    failed = [line for line in _log(caller) if not line.isdigit()]
    assert failed == []


def _pods(cluster: Cluster) -> dict[str, set[str]]:
    """The names of the pods of each service."""
    found: dict[str, set[str]] = {}
    for item in cluster.get("pods")["items"]:
        labels = item["metadata"]["labels"]
        component = labels.get("app.kubernetes.io/component")
        ends = item["metadata"].get("deletionTimestamp")
        if component in ("generator", "scorer", "executor", "pair-builder") and not ends:
            found.setdefault(component, set()).add(item["metadata"]["name"])
    return found


def _log(cluster: Cluster) -> list[str]:
    return cluster.kubectl("logs", CALLER).split("\n")[:-1]


def _rounds(cluster: Cluster, least: int) -> int:
    """How often every service has answered; at least so often."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        done = cluster.try_("kubectl", "--namespace", NAMESPACE, "logs", CALLER)
        numbers = [int(line) for line in done.stdout.split("\n") if line.isdigit()]
        if numbers and numbers[-1] >= least:
            return numbers[-1]
        time.sleep(1)
    raise AssertionError(f"the caller did not come to {least}: {done.stdout[-500:]}{done.stderr}")
