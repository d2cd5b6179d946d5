"""One cluster for all tests of this folder: images built, chart installed, a round played."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.disturbed import Disturbed
from tests.cluster.pipeline_driver import Driver
from tests.cluster.world import (
    BIN,
    NAMESPACE,
    PROFILE,
    RELEASE,
    ROOT,
    SANDBOX,
    Cluster,
    missing,
    new_storage,
)

SMALL = (
    *("--recipe", "gift", "--preset", "lab", "--seed", "7", "--limit", "8", "--eval-limit", "16"),
    *("--no-control", "--set", "iterations=2"),
)
"""A round of minutes, whose checkpoint the gate promotes."""
PARAMETERS: dict[str, Any] = {
    **{"recipe": "gift", "preset": "lab", "seed": 7, "limit": 8, "eval_limit": 16},
    **{"control": False, "config": {"iterations": 2}, "chain": "piped"},
}
"""The same as the parameters of a pipeline."""
ACCOUNT = "default-editor"
"""What Kubeflow lets the tasks of a profile's pipelines run as."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.slow)


READY = (
    r"jsonpath={.metadata.labels.app\.kubernetes\.io/component}="
    r'{.status.conditions[?(@.type=="Ready")].status}='
    r'{.status.conditions[?(@.type=="Ready")].lastTransitionTime}{"\n"}'
)
OWNERS = r'jsonpath={range .metadata.ownerReferences[*]}{.kind}/{.name}{"\n"}{end}'


@dataclass(frozen=True)
class Installed:
    """A cluster with the release on it, and what was there before."""

    cluster: Cluster
    before: dict[str, set[str]]
    """The names of objects, by namespace and of the cluster."""
    said: str
    """What the installation printed."""
    ready_s: dict[str, float]
    """After how many seconds the pod of each component was first ready, by the cluster's clock from
    the installation's first objects on.
    """


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster of KUBECONFIG with the images of this tree, and a storage of its own.

    CLUSTER_REQUIRED makes what is missing an error: CI must not pass by skipping.
    """
    if (lack := missing(os.environ)) is not None:
        if os.environ.get("CLUSTER_REQUIRED"):
            pytest.fail(lack)
        pytest.skip(lack)
    s3fs = pytest.importorskip("s3fs", reason="s3fs: expected the extra `cluster`, saw none")
    files: Any = s3fs.S3FileSystem()
    found = Cluster(new_storage())
    files.makedirs(found.storage.rsplit("/", 1)[0], exist_ok=True)
    found.run(ROOT / "charts/images/build")
    yield found
    files.invalidate_cache()
    for used in (found.storage, of_profile(found)):
        if files.exists(used):
            files.rm(used, recursive=True)


def of_profile(cluster: Cluster) -> str:
    """The storage of the other user."""
    return f"{cluster.storage}-profile"


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Iterator[Installed]:
    """The chart, installed as `make cluster-round` installs it, beside a namespace such as Kubeflow
    makes for a user.
    """
    remove(cluster, NAMESPACE, PROFILE)
    for namespace in (NAMESPACE, PROFILE):
        cluster.kubectl("create", "namespace", namespace)
        # What every namespace has is made a moment later, each by a controller of its own.
        for made in ("serviceaccount/default", "configmap/kube-root-ca.crt"):
            wait = ("wait", "--for=create", made, "--timeout=600s")
            cluster.kubectl(*wait, namespace=namespace)
    cluster.kubectl("create", "serviceaccount", ACCOUNT, namespace=PROFILE)
    before = cluster.objects()
    try:
        with (
            cluster.watched("pods", NAMESPACE, READY) as services,
            cluster.watched("pods", SANDBOX, READY) as sandbox,
        ):
            said = cluster.run(ROOT / "charts/install")
        yield Installed(cluster, before, said, ready_s(cluster, [*services, *sandbox]))
    finally:
        remove(cluster, NAMESPACE, PROFILE)


def ready_s(cluster: Cluster, seen: Sequence[str]) -> dict[str, float]:
    """When each component's pod was first ready: a busy machine may take it back for a moment."""
    first: dict[str, str] = {}
    for component, status, at in (word.split("=") for word in seen):
        if status == "True":
            first.setdefault(component, at)
    for namespace in (NAMESPACE, SANDBOX):  # a watch may have been lost
        for pod in cluster.get("pods", namespace=namespace)["items"]:
            held = {c["type"]: c for c in pod["status"].get("conditions", ())}
            if held.get("Ready", {}).get("status") == "True":
                component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
                first.setdefault(component, held["Ready"]["lastTransitionTime"])
    made = cluster.get(f"configmap/{RELEASE}-cluster")["metadata"]["creationTimestamp"]
    began = datetime.fromisoformat(made)
    return {
        name: (datetime.fromisoformat(at) - began).total_seconds() for name, at in first.items()
    }


def remove(cluster: Cluster, home: str, *others: str) -> None:
    """Leaves nothing of an installation, nor of the other namespaces that it serves."""
    cluster.try_(BIN / "helm", "uninstall", RELEASE, "--namespace", home, "--wait")
    names = (home, f"{home}-sandbox", *others)
    cluster.kubectl("delete", "namespace", *names, "--ignore-not-found")


@pytest.fixture(scope="session")
def profiles(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The installation, from now on for two users: that of its own namespace, and one whose
    trainings are TrainJobs.
    """
    cluster = installed.cluster
    names = {"accessKeyId": "AWS_ACCESS_KEY_ID", "secretAccessKey": "AWS_SECRET_ACCESS_KEY"}
    keys = {name: os.environ[variable] for name, variable in names.items()}
    mine = {"namespace": NAMESPACE, "storage": {"url": cluster.storage, **keys}}
    other = {"namespace": PROFILE, "storage": {"url": of_profile(cluster), **keys}}
    values = {
        "profiles": [mine, {**other, "training": {"job": "trainjob"}}],
        "control": {"subjects": [ACCOUNT]},
    }
    file = tmp_path_factory.mktemp("profiles") / "values.json"
    file.write_text(json.dumps(values))
    where = ("--namespace", NAMESPACE, "--wait", "--timeout", "15m", "--reset-then-reuse-values")
    chart = ROOT / "charts/roundsmith"
    cluster.run(BIN / "helm", "upgrade", RELEASE, chart, *where, "--values", file)
    # helm waits for no pod that may be away while it is replaced.
    cluster.until_ready("--all", namespace=PROFILE)
    return installed


@dataclass(frozen=True)
class Rounds:
    """The same small round, played by both users at once."""

    log: str
    """Of the one that was submitted as a Job, whose pods went one after another; it is named
    `first`.
    """
    gone: tuple[str, ...]
    """The names of those pods."""
    piped: Driver
    """The other, by the pipeline; its chain is `piped`."""
    trainings: dict[str, set[str]]
    """The names of the trainings in each namespace, by namespace."""
    owners: set[str]
    """What those of the pipeline go with: `KIND/NAME`."""


@pytest.fixture(scope="session")
def rounds(profiles: Installed, tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    """Both users' rounds: each has nothing in its storage that the other could find there."""
    cluster = profiles.cluster
    piped = driver(cluster, tmp_path_factory.mktemp("piped"), "piped")
    with (
        cluster.watched("pytorchjobs") as mine,
        cluster.watched("trainjobs", PROFILE) as others,
        cluster.watched("trainjobs", PROFILE, OWNERS) as owners,
        ThreadPoolExecutor() as pool,
    ):
        first = Disturbed(cluster, "first", SMALL)
        working = [pool.submit(work) for work in (first.play, first.disturb)]
        try:
            piped.play(PARAMETERS)
        finally:
            piped.remove()
        for work in working:
            work.result()
    trainings = {NAMESPACE: set(mine), PROFILE: set(others)}
    return Rounds("".join(first.lines), tuple(first.gone), piped, trainings, set(owners))


def driver(cluster: Cluster, folder: Path, run: str) -> Driver:
    """A run of the pipeline that the chart delivers to the other user, as Kubeflow's account."""
    package = folder / "pipeline.yaml"
    delivered = cluster.get(f"configmap/{RELEASE}-pipeline", namespace=PROFILE)
    package.write_text(delivered["data"]["pipeline.yaml"])
    return Driver(cluster, PROFILE, ACCOUNT, run, package)


def submit(cluster: Cluster, name: str) -> str:
    """Plays the small round as pods; its log."""
    where = ("--namespace", NAMESPACE, "--release", RELEASE, "--name", name)
    return cluster.run(BIN / "roundsmith", "submit", *where, "--", *SMALL)


@pytest.fixture(scope="session")
def round_of_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same round, played on this machine."""
    return play_as_processes(SMALL, tmp_path_factory.mktemp("local") / "run")


def play_as_processes(options: Sequence[str], out: Path) -> Path:
    """The folder of a round that was played on this machine."""
    command = [str(BIN / "roundsmith"), "run", *options, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr
    return out / "round-1"
