"""What may be set: each value has a sentence, what is wrong is refused, presets are whole."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types

from roundsmith.config import ServeSettings
from roundsmith.platform.cluster import ClusterPlatform
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.steps.context import reproducible
from tests.charts.rendering import (
    BEGUN,
    CHART,
    PRESETS,
    STORED,
    cluster,
    helm,
    objects,
    one,
    pods,
    template,
    with_preset,
)

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
WRONG = {
    "nosuch=1": "Additional property nosuch is not allowed",
    "executor.nosuch=1": "executor: Additional property nosuch is not allowed",
    "sandbox.programs.nosuch=1": "sandbox.programs: Additional property nosuch is not allowed",
    "generator.placement.nodeselector.a=b": "Additional property nodeselector is not allowed",
    "global.imageRegistry=https://example.org": "global.imageRegistry: Does not match pattern",
    "images.tag=latest": "images.tag: Must not validate the schema",
    "images.trainer.tag=1": "images.trainer: Additional property tag is not allowed",
    "images.control.repository=": "String length must be greater than or equal to 1",
    "images.sandbox.digest=sha256:12": "images.sandbox.digest: Does not match pattern",
    "images.pullPolicy=Sometimes": 'images.pullPolicy must be one of the following: "Always"',
    "models.device=tpu": 'models.device must be one of the following: "cpu", "cuda"',
    "models.threads=0": "models.threads: Must be greater than or equal to 1",
    "models.startupSeconds=3601": "models.startupSeconds: Must be less than or equal to 3600",
    "models.cacheSize=big": "models.cacheSize: Does not match pattern",
    "training.replicas=0": "training.replicas: Must be greater than or equal to 1",
    "training.deadlineSeconds=-1": "training.deadlineSeconds: Must be greater than or equal to 0",
    "training.checkpointEverySteps=0": "Must be greater than or equal to 1",
    "training.job=mpijob": "training.job must be one of the following",
    "storage.url=http://elsewhere": "storage.url: Does not match pattern",
    "storage.cidrs={anywhere}": "storage.cidrs.0: Does not match pattern",
    "storage.cidrs={}": "storage.cidrs.0: Does not match pattern",
    "storage.namespaces={Minio}": "storage.namespaces.0: Does not match pattern",
    "serve.namespaces={a.b}": "serve.namespaces.0: Does not match pattern",
    "callers.namespaces={team,-x}": "callers.namespaces.1: Does not match pattern",
    "metrics.namespaces={a b}": "metrics.namespaces.0: Does not match pattern",
    "pipelines.namespace=https://kubeflow": "pipelines.namespace: Does not match pattern",
    "modelRegistry.namespace=K": "modelRegistry.namespace: Does not match pattern",
    "tracing.otlpEndpoint=ftp://h:4317": "tracing.otlpEndpoint: Does not match pattern",
    "tracing.cidrs={anywhere}": "tracing.cidrs.0: Does not match pattern",
    "tracing.namespaces={O}": "tracing.namespaces.0: Does not match pattern",
    "imagePullSecrets={A}": "imagePullSecrets.0: Does not match pattern",
    "control.apiServer.ports={70000}": "Must be less than or equal to 65535",
    "executor.floor=T4": 'executor.floor must be one of the following: "T1", "T2", "T3"',
    "sandbox.programs.resources.limits.memory=null": "limits: memory is required",
    "sandbox.worker.resources.limits.cpu=null": "limits: cpu is required",
    "generator.strategy=fast": 'generator.strategy must be one of the following: "inPlace"',
    "scorer.scaling.by=luck": 'scorer.scaling.by must be one of the following: "none"',
    "serve.runtime=triton": 'serve.runtime must be one of the following: "roundsmith", "stock"',
    "generator.options={slots}": "generator.options.0: Does not match pattern",
}
"""A value, and what is said of it."""
UNFIT = {
    "executor.floor=T2": "expected sandbox.runtimeClassName or sandbox.seccompProfile for T2",
    "executor.floor=T3,sandbox.seccompProfile=p.json": (
        "expected sandbox.runtimeClassName for T3, saw none"
    ),
    "executor.floor=T3,sandbox.runtimeClassName=gvisor": (
        "executor.slots: expected at most sandbox.replicas for T3, saw 2 and 1"
    ),
    "sandbox.quota.pods=9": "sandbox.quota: expected no pods, saw 9: the chart counts them by",
    "sandbox.quota.limits\\.memory=4Gi": "expected limits.memory for 2 pods, which is sandbox.repl",
    "sandbox.quota.requests\\.cpu=299m": "expected requests.cpu for 2 pods",
    "storage.accessKeyId=id": "storage.secretAccessKey: expected the secret of storage.accessKeyId",
    "storage.existingSecret=mine,storage.accessKeyId=id,storage.secretAccessKey=x": (
        "storage: expected existingSecret or accessKeyId, saw both: keep one"
    ),
    "pairBuilder.scaling.by=hpa,pairBuilder.replicas=3,pairBuilder.scaling.maxReplicas=2": (
        "pairBuilder.scaling.maxReplicas: expected more than pairBuilder.replicas, saw 2 and 3"
    ),
    "generator.scaling.by=hpa": "expected more than generator.replicas, saw 1 and 1",
    "tls.enabled=true": "tls: expected certManager.issuer, or serverSecret and clientSecret",
    "generator.engine=vllm": "models.sharedMemory: expected a size such as 1Gi",
    "generator.engine=vllm,models.sharedMemory=1Gi,models.device=cuda,environment.hostPath=/e": (
        "expected no environment beside vllm on cuda"
    ),
    "metrics.podMonitor=true": "metrics.podMonitor: expected metrics.enabled",
    "metrics.alerts=true": "metrics.alerts: expected metrics.enabled",
    "scorer.scaling.by=keda": "metrics.prometheus: expected the URL of a Prometheus",
    "training.stopsGenerator=true,kserve.enabled=false": "expected kserve.enabled",
    "tracing.otlpEndpoint=http://h:4317": "tracing: expected namespaces or cidrs beside otlpEnd",
    "serve.enabled=true,serve.runtime=stock": "serve.checkpoint: expected the URL",
}
"""Values that do not go together, and what is said of them."""


@pytest.mark.parametrize("value", WRONG)
def test_a_wrong_value_is_refused_with_what_is_wrong(value: str) -> None:
    done = template(*STORED, value)
    assert done.returncode != 0
    assert WRONG[value] in done.stderr


@pytest.mark.parametrize("values", UNFIT)
def test_values_that_do_not_go_together_are_refused(values: str) -> None:
    done = template(*STORED, *values.split(","))
    assert done.returncode != 0
    assert UNFIT[values] in done.stderr


def test_the_schema_is_closed_at_every_level_but_what_a_parent_chart_shares() -> None:
    def open_levels(schema: Any, path: str = "") -> list[str]:
        if not isinstance(schema, dict):
            return []
        closed = "properties" not in schema or schema.get("additionalProperties") is False
        inner = [found for k, v in schema.items() for found in open_levels(v, f"{path}/{k}")]
        return inner if closed else [path, *inner]

    assert SCHEMA["$schema"].endswith("2020-12/schema")
    assert open_levels(SCHEMA) == ["/properties/global"]
    assert template(*STORED, "global.anything=1").returncode == 0


def test_every_value_has_a_sentence_and_every_sentence_a_value() -> None:
    described = dict(_described(SCHEMA))
    assert {path for path, text in described.items() if not text.endswith(".")} == set()
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(_leaves(values, described)) == set(described)


def _described(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Path and description of every value that has no values of its own names in it."""
    if "$ref" in schema:
        schema = {**SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
    if "properties" not in schema:
        yield path, schema.get("description", "")
        return
    for name, inner in schema["properties"].items():
        yield from _described(inner, f"{path}.{name}")


def _leaves(values: Any, described: dict[str, str], path: str = "") -> Iterator[str]:
    if path in described or not isinstance(values, dict):
        yield path
        return
    for name, inner in values.items():
        yield from _leaves(inner, described, f"{path}.{name}")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_whole_and_helm_finds_nothing_to_complain_about(preset: str) -> None:
    sets = [word for value in (*STORED, *BEGUN) for word in ("--set", value)]
    file = str(CHART / f"values-{preset}.yaml")
    done = helm("lint", "--strict", str(CHART), "--values", file, *sets)
    assert done.returncode == 0, done.stdout
    assert with_preset(preset).returncode == 0
    found = objects(preset=preset)
    told = ClusterConfig.parse(json.dumps(cluster(found)), preset)
    assert (told.gpus.generator, told.gpus.scorer) == (1, 1)
    assert told.serve.runtime == {"gpu": "roundsmith", "openai": "stock"}.get(preset, "")


def test_the_gpu_preset_puts_models_on_gpu_nodes_and_nothing_else() -> None:
    found = objects(preset="gpu")
    pool = {"nvidia.com/gpu.present": "true"}
    for name in ("r-generator", "r-scorer", "r-serve"):
        predictor = one(found, "InferenceService", name)["spec"]["predictor"]
        assert predictor["nodeSelector"] == pool
        assert predictor["tolerations"][0]["key"] == "nvidia.com/gpu"
        assert predictor["model"]["resources"]["limits"]["nvidia.com/gpu"] == 1
        [runtime] = one(found, "ServingRuntime", name)["spec"]["containers"]
        assert {"name": "shared-memory", "mountPath": "/dev/shm"} in runtime["volumeMounts"]
        assert runtime["startupProbe"]["failureThreshold"] * 2 == 1800
    training = cluster(found)["training"]
    assert training["template"]["spec"]["nodeSelector"] == pool
    assert (training["replicas"], training["processes"]) == (4, 1)
    eight = cluster(objects("training.resources.limits.nvidia\\.com/gpu=8", preset="gpu"))
    assert eight["training"]["processes"] == 8  # one a GPU
    assert cluster(objects(*STORED))["training"]["processes"] == 1
    executor = one(found, "Deployment", "r-executor")["spec"]["template"]["spec"]
    assert "nodeSelector" not in executor
    budgets = {o["metadata"]["name"] for o in found if o["kind"] == "PodDisruptionBudget"}
    assert budgets == {"r-pair-builder", "r-sandbox"}


def test_the_pod_of_a_run_has_disk_for_its_rounds_and_for_the_files_of_a_model() -> None:
    def disks(*values: str, preset: str = "") -> dict[str, str]:
        volumes = dict(pods(objects(*STORED, *values, preset=preset)))["control"]["volumes"]
        return {v["name"]: v["emptyDir"]["sizeLimit"] for v in volumes if "emptyDir" in v}

    assert disks("control.workSize=30Gi") == {"runs": "30Gi", "tmp": "30Gi"}
    assert disks(preset="gpu") == {"runs": "200Gi", "tmp": "200Gi"}


def test_pods_with_a_model_alone_get_the_runtime_that_brings_the_gpu_in() -> None:
    found = objects("models.runtimeClassName=nvidia", "kserve.scorer=false", preset="gpu")
    told = {name: pod.get("runtimeClassName") for name, pod in pods(found)}
    models = {"r-generator", "r-scorer", "r-serve", "training"}
    assert {name for name, runtime in told.items() if runtime == "nvidia"} == models
    assert not [p for _, p in pods(objects(preset="gpu")) if "runtimeClassName" in p]


def test_helms_test_runs_on_the_nodes_of_runs() -> None:
    found = objects(*STORED, "control.placement.nodeSelector.pool=cpu")
    assert one(found, "Pod", "r-test")["spec"]["nodeSelector"] == {"pool": "cpu"}


def test_a_surge_starts_a_pod_first_and_in_place_lets_the_old_one_go_first() -> None:
    for strategy, surge in (("surge", (1, 0)), ("inPlace", (0, 1))):
        found = objects(*STORED, f"generator.strategy={strategy}", f"scorer.strategy={strategy}")
        predictor = one(found, "InferenceService", "r-generator")["spec"]["predictor"]
        for told in (
            predictor["deploymentStrategy"],
            one(found, "Deployment", "r-scorer")["spec"]["strategy"],
        ):
            assert tuple(told["rollingUpdate"].values()) == surge


@pytest.mark.parametrize("by", ["hpa", "keda"])
def test_who_scales_alone_counts_the_pods(by: str) -> None:
    scaled = [
        value
        for name in ("generator", "scorer", "pairBuilder")
        for value in (f"{name}.scaling.by={by}", f"{name}.scaling.maxReplicas=4")
    ]
    found = objects(*STORED, *scaled, "metrics.prometheus=http://prometheus:9090")
    for name in ("r-scorer", "r-pair-builder"):
        assert "replicas" not in one(found, "Deployment", name)["spec"]
        kind = {"hpa": "HorizontalPodAutoscaler", "keda": "ScaledObject"}[by]
        assert one(found, kind, name)["spec"]["scaleTargetRef"]["name"] == name
        assert one(found, "PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1
    generator = one(found, "InferenceService", "r-generator")
    assert generator["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == by
    assert generator["spec"]["predictor"]["maxReplicas"] == 4


def test_what_waits_for_what_is_served_to_others_makes_no_further_generator() -> None:
    scaled = ("generator.scaling.by=keda", "generator.scaling.maxReplicas=4", "serve.enabled=true")
    for kserve in ("true", "false"):
        given = (*scaled, "metrics.prometheus=http://p", f"kserve.enabled={kserve}")
        told = str([o for o in objects(*STORED, *given) if "completions_waiting" in str(o)])
        assert told.count("completions_waiting") == 1
        assert 'completions_waiting{namespace="lab",pod=~"r-generator-.*"}' in told


def test_no_round_waits_longer_for_a_call_than_a_service_takes_one() -> None:
    longest = cluster(objects(*STORED, "models.startupSeconds=3600"))["patience_s"]
    assert longest <= ServeSettings().max_deadline_s


def test_without_kserve_the_generator_is_a_deployment_with_the_same_arguments() -> None:
    [container] = one(objects(*STORED), "ServingRuntime", "r-generator")["spec"]["containers"]
    plain = objects(*STORED, "kserve.enabled=false")
    assert not [o for o in plain if o["apiVersion"].startswith("serving.kserve.io")]
    pod = one(plain, "Deployment", "r-generator")["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == container["args"]
    assert cluster(plain)["endpoints"] == cluster(objects(*STORED))["endpoints"]


def test_what_is_served_is_recorded_by_service_and_model() -> None:
    def records(*values: str) -> list[str]:
        found = objects(*STORED, "serve.enabled=true", "kserve.scorer=true", *values)
        runtimes = [o for o in found if o["kind"] == "ServingRuntime"]
        options = [arg for o in runtimes for arg in o["spec"]["containers"][0]["args"]]
        return [option for option in options if option.startswith("--weights-record=")]

    one_model, other = records(), records("models.model=/models/other")
    assert len({*one_model, *other}) == 6
    assert all("s3://bucket/prefix/served/lab/r/" in record for record in one_model)


def test_an_image_is_of_the_registry_that_is_named_and_a_digest_counts() -> None:
    digest = "sha256:" + "0" * 64
    found = objects(
        *STORED, "global.imageRegistry=example.org/team", f"images.executor.digest={digest}"
    )
    pod = one(found, "Deployment", "r-executor")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"example.org/team/roundsmith-executor@{digest}"
    [runtime] = one(found, "ServingRuntime", "r-generator")["spec"]["containers"]
    assert runtime["image"] == "example.org/team/roundsmith-generator:0.1.0"


def test_with_tls_services_prove_who_they_are_and_rounds_alone_swap_weights() -> None:
    found = objects(preset="hardened")
    server, client = (one(found, "Certificate", f"r-{who}-tls")["spec"] for who in _ENDS)
    for endpoint in (v for v in cluster(found)["endpoints"].values() if isinstance(v, str)):
        assert endpoint.removeprefix("dns:///").split(":")[0] in server["dnsNames"]
    [runtime] = one(found, "ServingRuntime", "r-generator")["spec"]["containers"]
    assert f"--admin-subject={client['commonName']}" in runtime["args"]
    assert "--tls-client-ca=/etc/roundsmith-tls/ca.crt" in runtime["args"]
    assert runtime["readinessProbe"]["httpGet"] == {"path": "/ready", "port": 9090}
    told = cluster(found)
    assert told["endpoints"]["tls"]["certificate"] == "/etc/roundsmith-tls/tls.crt"
    volumes = told["control"]["template"]["spec"]["volumes"]
    assert {v["secret"]["secretName"] for v in volumes if "secret" in v} == {"r-client-tls"}


_ENDS = ("server", "client")


def test_rounds_are_told_the_gpus_of_all_pods_of_a_service() -> None:
    sets = ("generator.replicas=3", r"generator.resources.limits.nvidia\.com/gpu=4")
    found = objects(*STORED, *sets, preset="gpu")
    told = ClusterConfig.parse(json.dumps(cluster(found)), "gpu")
    assert (told.gpus.generator, told.gpus.scorer) == (12, 1)


def keys(*sets: str) -> tuple[str, str]:
    """What keys know of the images of the services with weights, and of a training's."""
    found = ClusterConfig.parse(json.dumps(cluster(objects(*STORED, *sets))), "the chart")
    here = ClusterPlatform(found)
    return str(here.arithmetic["images"]), str(here.training_arithmetic.key()["image"])


def test_keys_know_the_images_of_pods_whatever_registry_they_come_from() -> None:
    release = keys("images.tag=1.2")
    assert release == ("roundsmith-generator:1.2 roundsmith-scorer:1.2", "roundsmith-trainer:1.2")
    assert keys("images.tag=1.2", "global.imageRegistry=mirror.example:5000/team") == release
    assert all(one != other for one, other in zip(keys("images.tag=1.3"), release, strict=True))
    digest = f"sha256:{'0' * 64}"
    served, trained = keys("images.tag=1.2", f"images.generator.digest={digest}")
    assert served == f"roundsmith-generator@{digest} roundsmith-scorer:1.2"
    assert trained == release[1]


@pytest.mark.parametrize(
    ("engine", "repeats"), [("transformers", "bitwise"), ("vllm", "distribution")]
)
def test_rounds_know_by_the_engine_of_the_generator_what_repeats(engine: str, repeats: str) -> None:
    found = objects(
        *(f"generator.engine={engine}", "models.sharedMemory=1Gi", "models.dtype=float32"),
        *(*STORED, "models.device=cpu"),
    )
    told = ClusterPlatform(ClusterConfig.parse(json.dumps(cluster(found)), "the chart")).arithmetic
    assert told["engine"] == engine
    assert reproducible({"arithmetic": told}) == repeats


def test_in_gvisor_the_directory_of_the_socket_is_told_to_be_of_both_containers() -> None:
    found = objects(*STORED, "sandbox.runtimeClassName=gvisor")
    made = one(found, "Deployment", "r-sandbox")["spec"]["template"]
    prefix = "dev.gvisor.spec.mount.socket"
    told = {f"{prefix}.share": "pod", f"{prefix}.type": "tmpfs", f"{prefix}.options": "rw"}
    assert made["metadata"]["annotations"] == told
    assert "socket" in {volume["name"] for volume in made["spec"]["volumes"]}
    plain = one(objects(*STORED), "Deployment", "r-sandbox")["spec"]["template"]
    assert "annotations" not in plain["metadata"]
