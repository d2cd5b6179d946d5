"""What helm makes of the chart, without a cluster."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # ships no types

CHART = Path(__file__).parents[2] / "charts/roundsmith"
HELM = Path(sys.prefix) / "bin/helm"
STORED = ("storage.url=s3://bucket/prefix",)
WHOLE = (
    STORED[0],
    "storage.endpoint=http://10.0.0.1:7070",
    "storage.accessKeyId=id",
    "storage.secretAccessKey=secret",
    "environment.hostPath=/environment",
    "sandbox.runtimeClassName=gvisor",
    "sandbox.seccompProfile=roundsmith-sandbox.json",
    "executor.floor=T2",
    "sandbox.maxReplicas=5",
    "imagePullSecrets={registry}",
    "training.replicas=3",
    "metrics.enabled=true",
    "metrics.dashboard=true",
    "serve.enabled=true",
    "training.stopsGenerator=true",
    "tracing.otlpEndpoint=http://collector.observability:4317",
    "tracing.namespaces={observability}",
)
PRESETS = ("small", "gpu", "hardened", "openai")
BEGUN = ("serve.checkpoint=s3://bucket/prefix/checkpoints/0",)
"""What the preset `openai` asks for."""
Object = dict[str, Any]
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C, where it is, takes a tenth of the time."""


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A finished helm; it needs no cluster."""
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, check=False)


def template(*values: str) -> subprocess.CompletedProcess[str]:
    """`helm template` of the release `r` in the namespace `lab`."""
    sets = [word for value in values for word in ("--set", value)]
    return helm("template", "r", str(CHART), "--namespace", "lab", *sets)


def with_preset(preset: str, *values: str) -> subprocess.CompletedProcess[str]:
    """`helm template` with a preset."""
    file = ("--values", str(CHART / f"values-{preset}.yaml"))
    sets = [word for value in (*STORED, *BEGUN, *values) for word in ("--set", value)]
    return helm("template", "r", str(CHART), "--namespace", "lab", *file, *sets)


def objects(*values: str, preset: str = "") -> list[Object]:
    """The objects that the chart makes with these values; it must render."""
    done = with_preset(preset, *values) if preset else template(*values)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.load_all(done.stdout, LOADER) if document]


def one(found: list[Object], kind: str, name: str) -> Object:
    """The one object of this kind and name."""
    [chosen] = [o for o in found if o["kind"] == kind and o["metadata"]["name"] == name]
    return chosen


def pods(found: list[Object]) -> Iterator[tuple[str, Object]]:
    """The spec of every pod that the chart makes or hands to rounds, by what it is for."""
    for item in found:
        name = item["metadata"]["name"]
        if item["kind"] == "Deployment":
            yield name, item["spec"]["template"]["spec"]
        elif item["kind"] == "Pod":
            yield name, item["spec"]
        elif item["kind"] == "InferenceService" and _has_runtime(found, name):
            runtime = one(found, "ServingRuntime", name)["spec"]
            yield name, {**item["spec"]["predictor"], **runtime}
    for name in ("control", "training"):
        yield name, cluster(found)[name]["template"]["spec"]


def _has_runtime(found: list[Object], name: str) -> bool:
    return any(o["kind"] == "ServingRuntime" and o["metadata"]["name"] == name for o in found)


def cluster(found: list[Object]) -> Object:
    """What the ConfigMap tells rounds."""
    loaded: Object = json.loads(one(found, "ConfigMap", "r-cluster")["data"]["cluster.json"])
    return loaded
