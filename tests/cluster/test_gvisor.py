"""The preset with gVisor as the floor: refused where the cluster has no RuntimeClass of it, and
where it has one, programs run in pods of it, and reach nothing.
"""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from roundsmith.types import CallTest, Program
from roundsmith.verdicts import Verdict
from tests.cluster.conftest import remove
from tests.cluster.test_sandbox import PROGRAM, TOKEN, in_the_end, outcomes, reached
from tests.cluster.world import BIN, NAMESPACE, RELEASE, ROOT, Cluster

PLACE = f"{NAMESPACE}-gvisor"
CHART = ROOT / "charts/roundsmith"
CLASS = "gvisor"
"""The RuntimeClass that the preset names."""
VALUES = {
    "tls": {"enabled": False},
    "metrics": {"enabled": False, "alerts": False, "podMonitor": False},
    "storage": {"cidrs": ["0.0.0.0/0"]},
    "control": {"apiServer": {"cidrs": ["0.0.0.0/0"]}},
    "sandbox": {"replicas": 2},
    "executor": {"slots": 2},
}
"""Over the presets `small` and `hardened`: no cert-manager, no prometheus-operator, two cores."""
BOX = f"{PLACE}-sandbox/deploy/{RELEASE}-sandbox"
OUTSIDER = f"{PLACE}/outsider"
KERNEL = """
import ctypes
text = ctypes.create_string_buffer(4096)
ctypes.CDLL(None).klogctl(3, text, 4096)
print(text.value.decode())
"""
WRONG = "def say(word):\n    return word + '!'\n"
HANGS = "def say(word):\n    while True: pass\n"
GREEDY = "def say(word):\n    return len(bytearray(4 << 30))\n"


def has_class(cluster: Cluster) -> bool:
    """Whether the cluster's administrator has made the RuntimeClass."""
    return bool(
        cluster.get("runtimeclasses", "--field-selector", f"metadata.name={CLASS}")["items"]
    )


def test_without_its_runtime_class_the_hardened_preset_is_refused_with_the_remedy(
    cluster: Cluster,
) -> None:
    if has_class(cluster):
        pytest.skip(f"the cluster: expected no RuntimeClass {CLASS}, saw one")
    place = f"{PLACE}-refused"
    where = ("--namespace", place, "--create-namespace", "--set", f"storage.url={cluster.storage}")
    try:
        hardened = ("--values", CHART / "values-hardened.yaml")
        done = cluster.try_(BIN / "helm", "install", RELEASE, CHART, *where, *hardened)
        assert done.returncode != 0
        assert (
            f'expected a RuntimeClass of this cluster, saw "{CLASS}", which it has not: install '
            "gVisor or Kata on the nodes of the sandbox and make the RuntimeClass, or name another"
        ) in done.stderr
        made = cluster.get("namespaces", "--field-selector", f"metadata.name={place}-sandbox")
        assert made["items"] == []
        listed = cluster.run(BIN / "helm", "list", "--all", "--short", "--namespace", place)
        assert listed.split() == []
    finally:
        remove(cluster, place)


@pytest.fixture(scope="module")
def hardened(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the installation of the presets `small` and `hardened` printed."""
    if not has_class(cluster):
        pytest.skip(f"the cluster: expected a RuntimeClass {CLASS}, saw none")
    values = tmp_path_factory.mktemp("gvisor") / "values.json"
    values.write_text(json.dumps(VALUES))
    presets = (CHART / f"values-{preset}.yaml" for preset in ("small", "hardened"))
    given = f"HELM_VALUES={' '.join(map(str, (*presets, values)))}"
    where = (f"NAMESPACE={PLACE}", f"RELEASE={RELEASE}", f"STORAGE_URL={cluster.storage}/gvisor")
    remove(cluster, PLACE)
    try:
        yield cluster.run("env", *where, given, ROOT / "charts/install")
    finally:
        remove(cluster, PLACE)


def test_every_service_works_with_its_sandbox_in_gvisor(hardened: str) -> None:
    assert "Phase:          Succeeded" in hardened


def test_doctor_says_that_its_sandbox_pods_reach_t3(cluster: Cluster, hardened: str) -> None:
    where = ("--namespace", PLACE, "--release", RELEASE)
    done = cluster.try_(BIN / "roundsmith", "doctor", "--json", *where)
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["isolation"]["ok"], checks["isolation"]
    assert checks["isolation"]["detail"].startswith("T3: a kernel of its own (gVisor)")


@pytest.mark.parametrize("container", ["sandbox", "worker"])
def test_the_sandbox_pods_kernel_is_gvisors(
    cluster: Cluster, hardened: str, container: str
) -> None:
    assert "Starting gVisor" in cluster.python(BOX, KERNEL, container=container)


def test_programs_in_gvisor_get_the_verdicts_of_programs(cluster: Cluster, hardened: str) -> None:
    sources = {"honest": PROGRAM, "wrong": WRONG, "hangs": HANGS, "greedy": GREEDY}
    programs = tuple(Program(name, source) for name, source in sources.items())
    found = outcomes(
        cluster, programs, (CallTest("a word", "say", ("reached",), "reached"),), PLACE
    )
    assert {outcome.tier for outcome in found} == {"T3"}
    assert {outcome.code_id: outcome.verdict for outcome in found} == {
        "honest": Verdict.PASS,
        "wrong": Verdict.FAIL,
        "hangs": Verdict.CPU_TIMEOUT,
        "greedy": Verdict.MEMORY,
    }


@pytest.fixture(scope="module")
def targets(cluster: Cluster, hardened: str) -> Iterator[dict[str, tuple[str, int]]]:
    """Where programs must not reach, each reached by a pod that no policy holds back."""
    executor = cluster.get(f"deployment/{RELEASE}-executor", namespace=PLACE)
    image = executor["spec"]["template"]["spec"]["containers"][0]["image"]
    sleep = ("--restart=Never", "--command", "--", "sleep", "3600")
    cluster.kubectl("run", "outsider", f"--image={image}", *sleep, namespace=PLACE)
    wait = ("wait", "--for=condition=Ready", "pod/outsider", "--timeout=600s")
    cluster.kubectl(*wait, namespace=PLACE)
    storage = urlsplit(cluster.environment["S3_ENDPOINT"])
    assert storage.hostname is not None
    api = cluster.get("service/kubernetes", namespace="default")["spec"]["clusterIP"]
    dns = cluster.get("service/kube-dns", namespace="kube-system")["spec"]["clusterIP"]
    s3 = (storage.hostname, storage.port or (443 if storage.scheme == "https" else 80))
    found = {"API server": (api, 443), "DNS server": (dns, 53), "S3": s3}
    everything = dict.fromkeys(found, "reached")
    assert in_the_end(lambda: reached(cluster, OUTSIDER, found), everything) == everything
    yield found
    cluster.kubectl("delete", "pod", "outsider", "--grace-period=1", namespace=PLACE)


@pytest.mark.parametrize("container", ["sandbox", "worker"])
def test_a_pod_in_gvisor_reaches_nothing_and_has_no_token(
    cluster: Cluster, targets: dict[str, tuple[str, int]], container: str
) -> None:
    said = reached(cluster, BOX, targets, container)
    assert set(said) == set(targets)
    assert {n: answer for n, answer in said.items() if not answer.startswith("blocked:")} == {}
    assert cluster.python(BOX, TOKEN, container=container) == "False"


def test_a_program_in_gvisor_reaches_nothing(
    cluster: Cluster, targets: dict[str, tuple[str, int]]
) -> None:
    calls = [CallTest(name, "reach", address, "reached") for name, address in targets.items()]
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    calls += [CallTest("token", "read", (token,), "reached")]
    found = outcomes(cluster, (Program("enemy", PROGRAM),), tuple(calls), PLACE)
    verdicts = {outcome.test_id: outcome.verdict for outcome in found}
    assert set(verdicts) == {*targets, "token"}
    assert set(verdicts.values()) <= {Verdict.DENIED, Verdict.FAIL}, json.dumps(verdicts)
