"""A small round whose generator is a pod of vLLM: it samples, takes the checkpoint that was trained
in other pods and samples from it.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from roundsmith.report.summary import Result, from_json
from roundsmith.store import GROUPS, RESULTS, Store, read_file
from tests.cluster.conftest import remove
from tests.cluster.disturbed import GENERATOR
from tests.cluster.test_round import storage
from tests.cluster.world import BIN, NAMESPACE, RELEASE, ROOT, Cluster
from tests.tools.joined_environment import join

PLACE = f"{NAMESPACE}-vllm"
PACKAGES = "lib/python3.11/site-packages"
TASKS = 3
ROUND = (
    *("--recipe", "rft", "--preset", "lab", "--seed", "3", "--limit", TASKS, "--eval-limit", 3),
    *("--no-control", "--set", "training.epochs=1"),
)
VALUES = {
    "generator": {
        "engine": "vllm",
        "options": ["--kv-cache-gib=0.25"],
        "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
    },
    "models": {"sharedMemory": "1Gi"},
}


@pytest.fixture(scope="module")
def environment() -> Iterator[Path]:
    """What pods mount: vLLM's environment and what it finds in that of the other pods, in one."""
    made = os.environ.get("VLLM_ENVIRONMENT", "")
    if not made:
        pytest.skip(
            "VLLM_ENVIRONMENT: expected what tests/tools/make_vllm_environment.py made in a folder "
            "of the nodes (CI and `make test WITH_VLLM=1` name it), saw nothing"
        )
    folder = Path(made, "pods")
    shutil.rmtree(folder, ignore_errors=True)
    join(Path(os.environ["ENVIRONMENT"], PACKAGES), Path(made, PACKAGES), folder / PACKAGES)
    yield folder
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Played:
    """A round on vLLM."""

    installed: str
    """What the installation printed."""
    arguments: tuple[str, ...]
    """Of the generator's pod."""
    generator: str
    """The log of that pod."""
    folder: Path
    """Of the round, fetched."""
    store: Store

    @property
    def result(self) -> Result:
        """What the round came to."""
        return from_json((self.folder / "summary.json").read_text()).result


@pytest.fixture(scope="module")
def played(
    cluster: Cluster, environment: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    """A release whose generator is on vLLM, in a namespace of its own, and a round there."""
    remove(cluster, PLACE)
    root = f"{cluster.storage}/vllm"
    values = tmp_path_factory.mktemp("vllm") / "values.json"
    values.write_text(json.dumps(VALUES))
    given = (
        *(f"NAMESPACE={PLACE}", f"RELEASE={RELEASE}", f"STORAGE_URL={root}"),
        f"HELM_VALUES={ROOT / 'charts/roundsmith/values-small.yaml'} {values}",
        f"ENVIRONMENT={environment}",
    )
    try:
        said = cluster.run("env", *given, ROOT / "charts/install")
        where = ("--namespace", PLACE, "--release", RELEASE, "--name", "vllm")
        cluster.run(BIN / "roundsmith", "submit", *where, "--", *ROUND)
        [pod] = cluster.get("pods", "-l", GENERATOR, namespace=PLACE)["items"]
        [container] = pod["spec"]["containers"]
        arguments = tuple(container["args"])
        generator = cluster.kubectl("logs", pod["metadata"]["name"], namespace=PLACE)
        folder = tmp_path_factory.mktemp("vllm-round") / "round-1"
        storage().get(f"{root}/runs/vllm/round-1", str(folder), recursive=True)
        yield Played(said, arguments, generator, folder, Store(f"{root}/store"))
    finally:
        remove(cluster, PLACE)


def test_every_service_answers_a_pod_of_the_cluster(played: Played) -> None:
    assert "Phase:          Succeeded" in played.installed


def test_the_pod_samples_on_vllm_by_the_weights_that_the_round_began_with(played: Played) -> None:
    assert "--engine=vllm" in played.arguments
    sampled = played.store.manifests("sample")
    assert {manifest.reproducible for manifest in sampled} == {"distribution"}
    scored = [g for m in played.store.manifests("score") for g in played.store.read_all(GROUPS, m)]
    samples = [sample for group in scored for sample in group.samples]
    result = played.result
    assert len(samples) >= result.funnel["codes"] >= TASKS
    assert {sample.provenance.weights_sha256 for sample in samples} == {result.weights_sha256}


def test_it_takes_what_was_trained_and_the_gate_decides_by_its_samples(played: Played) -> None:
    result = played.result
    assert result.checkpoint_sha256 not in (None, result.weights_sha256)
    assert f"serves weights {result.checkpoint_sha256[:12]}" in played.generator
    rows = list(read_file(RESULTS, played.folder / "data/results.parquet"))
    assert {(str(row.split), row.of) for row in rows} >= {("final", "before"), ("final", "after")}
    assert result.gate is not None
    assert result.gate.reasons
