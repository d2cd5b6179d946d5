"""One cluster for all tests of this folder: images built, chart installed, a round played."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.world import (
    BIN,
    NAMESPACE,
    RELEASE,
    ROOT,
    SANDBOX,
    Cluster,
    missing,
    new_storage,
)

SMALL = (
    *("--recipe", "gift", "--preset", "lab", "--seed", "7"),
    *("--limit", "8", "--eval-limit", "8", "--set", "iterations=2"),
)
"""A round of minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class Installed:
    """A cluster with the release on it, and what was there before."""

    cluster: Cluster
    before: dict[str, set[str]]
    said: str
    """What the installation printed."""
    pods: tuple[dict[str, Any], ...]
    """The release's pods just after it."""


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
    if files.exists(found.storage):
        files.rm(found.storage, recursive=True)


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Iterator[Installed]:
    """The chart, installed as `make cluster-round` installs it."""
    remove(cluster)
    cluster.run("kubectl", "create", "namespace", NAMESPACE)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    before = cluster.objects()
    try:
        said = cluster.run(ROOT / "charts/install")
        pods = [cluster.get("pods", namespace=place)["items"] for place in (NAMESPACE, SANDBOX)]
        yield Installed(cluster, before, said, tuple(chain(*pods)))
    finally:
        remove(cluster)


def remove(cluster: Cluster) -> None:
    """Leaves nothing of a run of the tests."""
    cluster.try_(BIN / "helm", "uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")
    for namespace in (NAMESPACE, SANDBOX):
        cluster.run("kubectl", "delete", "namespace", namespace, "--ignore-not-found")


@pytest.fixture(scope="session")
def round_of_pods(installed: Installed) -> str:
    """The log of a small round, played as pods; it is named `first`."""
    return submit(installed.cluster, "first")


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
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return out / "round-1"
