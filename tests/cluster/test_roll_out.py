"""Whoever calls the services by our clients notices neither an upgrade nor its rollback."""

import time
from collections.abc import Iterator

import pytest

from tests.cluster.caller import CALLER, calling, said
from tests.cluster.conftest import Installed
from tests.cluster.world import BIN, NAMESPACE, RELEASE, ROOT, Cluster

CALLS = """
import asyncio, itertools, pathlib
from roundsmith.clients import StreamSettings, connect
from roundsmith.errors import RoundsmithError
from roundsmith.platform import service_checks as ask
from roundsmith.platform.cluster_config import ClusterConfig

cluster = ClusterConfig.read(pathlib.Path("/etc/roundsmith/cluster.json"))

async def serve(_):
    check = await ask.serve_check(cluster.serve.endpoint, None, 600)
    if not check.ok:
        print("FAILED", check.name, check.detail, flush=True)

async def keep_asking(work, services):
    for number in itertools.count(1):
        try:
            await work(services)
        except RoundsmithError as error:
            print("FAILED", work.__name__, repr(error), flush=True)
        print(work.__name__, number, flush=True)
        await asyncio.sleep(0.05)  # the pods that start have the same two cores

async def main():
    async with connect(cluster.endpoints, StreamSettings(give_up_s=600)) as services:
        works = ask.generator, ask.executor, ask.scorer, ask.pair_builder, serve
        await asyncio.gather(*(keep_asking(work, services) for work in works))

asyncio.run(main())
"""
"""Asks every service for work, in a call and in a stream, several times a second."""
WORKS = ("generator", "executor", "scorer", "pair_builder", "serve")
CHANGES = (
    *("--set", "models.startupSeconds=601"),
    *("--set", "executor.slots=3"),
    *("--set", "pairBuilder.resources.limits.memory=900Mi"),
    *("--set", "sandbox.programs.resources.limits.memory=1Gi"),
)
"""What makes all services start anew, and the sandbox."""


@pytest.fixture
def caller(installed: Installed) -> Iterator[Cluster]:
    """The cluster with a pod that calls all services."""
    with calling(installed.cluster, CALLS):
        yield installed.cluster


def test_an_upgrade_and_its_rollback_cost_no_call(caller: Cluster) -> None:
    helm, where = BIN / "helm", ("--namespace", NAMESPACE, "--wait", "--timeout", "20m")
    chart = ROOT / "charts/roundsmith"
    before = _pods_that_answer(caller, without=set())
    caller.run(helm, "upgrade", RELEASE, chart, *where, "--reset-then-reuse-values", *CHANGES)
    between = _pods_that_answer(caller, without=before)
    caller.run(helm, "rollback", RELEASE, *where)
    _pods_that_answer(caller, without=between)
    lines = said(caller)
    assert lines
    assert [line for line in lines if line.startswith("FAILED")] == []


def _pods(cluster: Cluster) -> set[str]:
    """The services' pods that are ready."""
    found = set()
    for item in cluster.get("pods", "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]:
        ready = {"type": "Ready", "status": "True"}.items()
        if any(ready <= c.items() for c in item["status"].get("conditions", ())):
            found.add(item["metadata"]["name"])
    return found - {CALLER}


def _pods_that_answer(cluster: Cluster, without: set[str]) -> set[str]:
    """The pods, when others than those before are ready and each service has answered twice."""
    end = time.monotonic() + 1200
    while without & (pods := _pods(cluster)) or len(pods) < len(WORKS):
        assert time.monotonic() < end, f"expected other pods than {without}, saw {pods}"
        time.sleep(1)
    since = _numbers(cluster)
    while any((now := _numbers(cluster)).get(work, 0) < since.get(work, 0) + 2 for work in WORKS):
        assert time.monotonic() < end, f"expected all services to answer, saw {now} after {since}"
        time.sleep(1)
    return pods


def _numbers(cluster: Cluster) -> dict[str, int]:
    """The last number that the caller told, by service."""
    told = [line.split() for line in said(cluster) if line.startswith(WORKS)]
    return {work: int(number) for work, number in told}
