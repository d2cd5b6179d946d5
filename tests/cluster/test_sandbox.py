"""What can be reached from inside of the sandbox's pod: nothing.

Every address is first reached from a pod without policies, so that a silence means something.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import urlsplit

import pytest

from roundsmith.clients import ExecutorClient
from roundsmith.clients.channels import open_channel
from roundsmith.types import CallTest, ExecuteItem, Outcome, Program
from roundsmith.verdicts import Verdict
from tests.cluster.conftest import Installed
from tests.cluster.world import NAMESPACE, RELEASE, SANDBOX, Cluster

TARGETS = ("API server", "API server's process", "DNS server", "other pod", "node", "S3")
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("reached")
except OSError as error:
    print("blocked:", error)
"""
CONNECT_ALL = """
import concurrent.futures, json, socket, sys

def reach(address):
    try:
        socket.create_connection(tuple(address), 3).close()
    except OSError as error:
        return f"blocked: {error}"
    return "reached"

targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(dict(zip(targets, pool.map(reach, targets.values())))))
"""
ASK_DNS = """
import socket, sys
name = b"".join(bytes([len(part)]) + part for part in sys.argv[2].encode().split(b"."))
query = bytes.fromhex("0007 0100 0001 0000 0000 0000") + name + bytes.fromhex("00 0001 0001")
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.settimeout(3)
try:
    asker.sendto(query, (sys.argv[1], 53))
    print("reached" if asker.recv(512)[:2] == query[:2] else "strange")
except OSError as error:
    print("blocked:", error)
"""
RESOLVE = """
import socket, sys
try:
    print("reached", socket.getaddrinfo(sys.argv[1], 443)[0][4])
except OSError as error:
    print("blocked:", error)
"""
TOKEN = """
import os
print(os.path.exists("/var/run/secrets/kubernetes.io"))
"""
PROGRAM = """
def reach(host, port):
    import socket
    try:
        socket.create_connection((host, port), 2).close()
    except OSError:
        return "blocked"
    return "reached"

def read(path):
    try:
        with open(path) as stream:
            return "reached" if stream.read() else "empty"
    except OSError:
        return "blocked"

def say(word):
    return word
"""
BURGLAR = """
import os

def names(folder):
    try:
        return "reached" if os.listdir(folder) else "empty"
    except OSError:
        return "blocked"

def places():
    return (os.getcwd(), "/tmp", "/var/tmp", "/dev/shm", "/run", os.environ.get("HOME", "/tmp"))

def leave(mark):
    left = "nowhere"
    for folder in places():
        try:
            with open(f"{folder}/{mark}", "w") as stream:
                stream.write(mark)
        except OSError:
            continue
        left = "left"
    return left

def find(mark):
    for folder in places():
        for at, _, files in os.walk(folder):
            if mark in files:
                return f"found in {at}"
    return "nothing"
"""
NODE = ("/var/lib/kubelet", "/run/containerd", "/proc/1/root", "/proc/1/fd", "/host", "/root")
"""Folders of a node, and of process 1, by which a program would get out of its pod's."""
METADATA = "169.254.169.254"
"""Where clouds tell a machine its credentials. A cluster of no cloud has nobody there."""
T = TypeVar("T")
NAME = "kubernetes.default.svc.cluster.local"
BOX = f"{SANDBOX}/deploy/{RELEASE}-sandbox"
OUTSIDER = f"{NAMESPACE}/outsider"


@pytest.fixture(scope="module")
def outsider(installed: Installed) -> Iterator[Cluster]:
    """The cluster with a pod that no policy holds back, and that listens on port 8000."""
    cluster = installed.cluster
    version = cluster.get(f"deployment/{RELEASE}-executor")["spec"]["template"]["spec"]
    image = version["containers"][0]["image"]
    serve = ("--command", "--", "python", "-m", "http.server", "8000")
    cluster.kubectl("run", "outsider", f"--image={image}", "--restart=Never", *serve)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/outsider", "--timeout=600s")
    # Sandbox pods that were replaced before may still be about to go.
    assert in_the_end(lambda: len(cluster.get("pods", namespace=SANDBOX)["items"]), 1) == 1
    yield cluster
    cluster.kubectl("delete", "pod", "outsider", "--grace-period=1")


@pytest.fixture(scope="module")
def targets(outsider: Cluster) -> dict[str, tuple[str, int]]:
    """Where the sandbox must not reach, each reached by the outsider."""
    service = outsider.get("service/kubernetes", namespace="default")["spec"]
    slices = outsider.get("endpointslices", "-l", "kubernetes.io/service-name=kubernetes",
                          namespace="default")["items"]  # fmt: skip
    dns = outsider.get("service/kube-dns", namespace="kube-system")["spec"]
    addresses = outsider.get("nodes")["items"][0]["status"]["addresses"]
    storage = urlsplit(outsider.environment["S3_ENDPOINT"])
    assert storage.hostname is not None
    found = {
        "API server": (service["clusterIP"], 443),
        "API server's process": (
            slices[0]["endpoints"][0]["addresses"][0],
            slices[0]["ports"][0]["port"],
        ),
        "DNS server": (dns["clusterIP"], 53),
        "other pod": (outsider.get("pod/outsider")["status"]["podIP"], 8000),
        "node": (next(a["address"] for a in addresses if a["type"] == "InternalIP"), 10250),
        "S3": (storage.hostname, storage.port or (443 if storage.scheme == "https" else 80)),
    }
    assert tuple(found) == TARGETS
    everything = dict.fromkeys(found, "reached")
    assert in_the_end(lambda: reached(outsider, OUTSIDER, found), everything) == everything
    return found


def in_the_end(ask: Callable[[], T], wanted: T) -> T:
    """What was answered last: the one wanted, or another after minutes. For what must be reached:
    a pod that is ready may not listen yet, be let through yet, and a packet may be lost.
    """
    until = time.monotonic() + 400
    while (said := ask()) != wanted and time.monotonic() < until:
        time.sleep(1)
    return said


def reached(
    cluster: Cluster, pod: str, targets: dict[str, tuple[str, int]], container: str = ""
) -> dict[str, str]:
    """`reached` or `blocked: ...` of each, all asked at once from inside of a pod."""
    found: dict[str, str] = json.loads(
        cluster.python(pod, CONNECT_ALL, json.dumps(targets), container=container)
    )
    return found


@pytest.mark.parametrize("container", ["sandbox", "worker"])
def test_the_sandbox_pod_reaches_nothing(
    outsider: Cluster, targets: dict[str, tuple[str, int]], container: str
) -> None:
    said = reached(outsider, BOX, targets, container)
    assert set(said) == set(TARGETS)
    assert {n: answer for n, answer in said.items() if not answer.startswith("blocked:")} == {}


def test_the_sandbox_pod_asks_no_dns_server(
    outsider: Cluster, targets: dict[str, tuple[str, int]]
) -> None:
    server, _ = targets["DNS server"]
    ask = (OUTSIDER, ASK_DNS, server, NAME)
    assert in_the_end(lambda: outsider.python(*ask), "reached") == "reached"
    assert outsider.python(BOX, ASK_DNS, server, NAME, container="sandbox").startswith("blocked:")


def test_the_sandbox_pod_resolves_no_name(outsider: Cluster) -> None:
    assert in_the_end(
        lambda: outsider.python(OUTSIDER, RESOLVE, NAME).startswith("reached"), wanted=True
    )
    assert outsider.python(BOX, RESOLVE, NAME, container="sandbox").startswith("blocked:")


@pytest.mark.parametrize("container", ["sandbox", "worker"])
def test_the_sandbox_pod_has_no_service_account_token(outsider: Cluster, container: str) -> None:
    assert outsider.python(OUTSIDER, TOKEN) == "True"
    assert outsider.python(BOX, TOKEN, container=container) == "False"


def test_only_the_executor_reaches_the_worker(outsider: Cluster) -> None:
    [pod] = outsider.get("pods", namespace=SANDBOX)["items"]
    worker = (pod["status"]["podIP"], 50061)
    executor = f"{NAMESPACE}/deploy/{RELEASE}-executor"
    ask = (executor, CONNECT, *worker)
    assert in_the_end(lambda: outsider.python(*ask), "reached") == "reached"
    for other in (OUTSIDER, f"{NAMESPACE}/deploy/{RELEASE}-pair-builder"):
        assert outsider.python(other, CONNECT, *worker).startswith("blocked:")


def test_a_program_reaches_nothing_through_the_executor(
    outsider: Cluster, targets: dict[str, tuple[str, int]]
) -> None:
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    calls = [CallTest(name, "reach", address, "reached") for name, address in targets.items()]
    calls += [CallTest("metadata", "reach", (METADATA, 80), "reached")]
    calls += [CallTest("token", "read", (token,), "reached")]
    calls += [CallTest("a word", "say", ("reached",), "reached")]
    found = outcomes(outsider, (Program("enemy", PROGRAM),), tuple(calls))
    verdicts = {outcome.test_id: outcome.verdict for outcome in found}
    assert verdicts.pop("a word") is Verdict.PASS
    assert set(verdicts) == {*TARGETS, "metadata", "token"}
    assert set(verdicts.values()) <= {Verdict.DENIED, Verdict.FAIL}, json.dumps(verdicts)
    assert len({outcome.image for outcome in found}) == 1


def test_a_program_finds_nothing_of_the_node_nor_of_its_environment(outsider: Cluster) -> None:
    folders = (*NODE, outsider.environment["ENVIRONMENT"], "/opt/environment", "/run/sandbox")
    calls = [CallTest(folder, "names", (folder,), "reached") for folder in folders]
    calls += [CallTest("python", "names", ("/usr/lib",), "reached")]
    found = outcomes(outsider, (Program("burglar", BURGLAR),), tuple(calls))
    verdicts = {outcome.test_id: outcome.verdict for outcome in found}
    assert verdicts.pop("python") is Verdict.PASS
    assert set(verdicts) == set(folders)
    assert set(verdicts.values()) <= {Verdict.DENIED, Verdict.FAIL}, verdicts


def test_a_program_finds_nothing_that_another_run_left(outsider: Cluster) -> None:
    (pod,) = outsider.get("pods", namespace=SANDBOX)["items"]
    leaves = CallTest("leave", "leave", ("mark-of-a-run",), "left")
    finds = CallTest("find", "find", ("mark-of-a-run",), "nothing")
    for _ in range(3):  # slots take runs in turn
        for test in (leaves, finds):
            (outcome,) = outcomes(outsider, (Program("burglar", BURGLAR),), (test,))
            assert outcome.verdict is Verdict.PASS, outcome
    (same,) = outsider.get("pods", namespace=SANDBOX)["items"]
    assert same["metadata"]["name"] == pod["metadata"]["name"]


def outcomes(
    cluster: Cluster,
    programs: tuple[Program, ...],
    calls: tuple[CallTest, ...],
    namespace: str = NAMESPACE,
) -> list[Outcome]:
    """What the executor of a release says of programs and calls."""

    async def executed() -> list[Outcome]:
        with cluster.forwarded(f"deploy/{RELEASE}-executor", 8033, namespace) as address:
            channel = open_channel(address)
            client = ExecutorClient(channel)
            try:
                return await client.execute(ExecuteItem("item", programs, calls))
            finally:
                await client.stream.close()
                await channel.close()

    return asyncio.run(executed())
