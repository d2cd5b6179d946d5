"""Every object of every preset, by the validation of a real API server."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types

from tests.charts.rendering import PRESETS, objects
from tests.cluster.world import UNANSWERED, answered

CRDS = {
    "podmonitors.monitoring.coreos.com": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
    ),
    "prometheusrules.monitoring.coreos.com": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
    "scaledobjects.keda.sh": (
        "github.com/kedacore/keda/v2@v2.17.2",
        "config/crd/bases/keda.sh_scaledobjects.yaml",
    ),
    "certificates.cert-manager.io": (
        "github.com/cert-manager/cert-manager@v1.18.2",
        "deploy/crds/crd-certificates.yaml",
    ),
}
"""Where the kinds of other projects are described: a Go module and a file of it."""
SCALED = [
    value
    for name in ("generator", "scorer", "pairBuilder")
    for value in (f"{name}.scaling.by=keda", f"{name}.scaling.maxReplicas=4")
]

UPLOADED = ("pipelines.upload=true", "pipelines.host=http://ml-pipeline.kubeflow:8888")


@pytest.fixture(scope="module")
def namespaces() -> Iterator[tuple[str, str]]:
    """A namespace and that of its sandbox, on a cluster that knows every kind of the chart."""
    if not os.environ.get("KUBECONFIG") or shutil.which("kubectl") is None:
        pytest.skip("KUBECONFIG: expected the file that leads to a cluster and kubectl, saw none")
    made = [name for name in CRDS if _kubectl("get", "crd", name).returncode]
    if made and shutil.which("go") is None:
        pytest.skip(f"the cluster: expected the kinds {', '.join(made)}, or go, saw neither")
    for name in made:
        _must(_kubectl("apply", "--server-side", "--filename", "-", given=_crd(name)))
        _must(_kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=600s"))
    own = f"roundsmith-dry-{uuid.uuid4().hex[:8]}"
    names = own, f"{own}-sandbox"
    for name in names:
        _must(_kubectl("create", "namespace", name))
    try:
        yield names
    finally:
        _kubectl("delete", "namespace", *names, "--wait=false")
        if made:
            _kubectl("delete", "crd", *made, "--wait=false")


@pytest.mark.parametrize("values", [*PRESETS, "scaled"])
def test_a_real_api_server_takes_every_object(namespaces: tuple[str, str], values: str) -> None:
    own, sandbox = namespaces
    scaled = (*SCALED, "metrics.prometheus=http://prometheus:9090", *UPLOADED)
    found = (
        objects(preset=values) if values in PRESETS else objects("storage.url=s3://b/p", *scaled)
    )
    for item in found:
        inside = item["metadata"].get("namespace") == "lab-sandbox"
        item["metadata"]["namespace"] = sandbox if inside else own
        if item["kind"] == "Namespace":
            item["metadata"] = {**item["metadata"], "name": sandbox, "namespace": None}
    said = _must(_apply(found))
    assert said.count("(server dry run)") == len(found)


def test_a_real_api_server_refuses_a_field_that_it_does_not_know(
    namespaces: tuple[str, str],
) -> None:
    [service] = [o for o in objects(preset="gpu") if o["kind"] == "PodMonitor"]
    service["metadata"]["namespace"] = namespaces[0]
    service["spec"]["podMetricsEndpoint"] = []
    done = _apply([service])
    assert done.returncode != 0
    assert 'unknown field "spec.podMetricsEndpoint"' in done.stderr


def _crd(name: str) -> str:
    module, file = CRDS[name]
    download = ["go", "mod", "download", "-json", module]
    done = subprocess.run(download, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        pytest.skip(f"{module}: expected a proxy of Go modules that has it, saw {done.stdout}")
    text = Path(json.loads(done.stdout)["Dir"], file).read_text()
    # cert-manager's is a template of its chart: what is filled in are labels, and whether it is.
    return "\n".join(line for line in text.splitlines() if "{{" not in line)


def _apply(found: list[dict[str, Any]]) -> "subprocess.CompletedProcess[str]":
    given = yaml.safe_dump_all(found)
    return _kubectl("apply", "--dry-run=server", "--filename", "-", given=given)


def _must(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def _kubectl(*command: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    def ask() -> "subprocess.CompletedProcess[str]":
        words = ["kubectl", *command]
        return subprocess.run(
            words, input=given, capture_output=True, text=True, check=False, timeout=900
        )

    return answered(ask, UNANSWERED)
