"""Whether a cluster can play rounds, looked at before a GPU is asked for; each with its remedy.

They are asked from where a run plays: with the service account of its pod, over its network.
"""

import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from roundsmith.clients import connect
from roundsmith.errors import RoundsmithError
from roundsmith.platform.checks import LEAVES, Check
from roundsmith.platform.cluster_config import TRAINING_CONTAINER, ClusterConfig
from roundsmith.platform.kubernetes_api import PATHS, KubernetesApi
from roundsmith.platform.manifests import container_of
from roundsmith.platform.model_registry import ModelRegistry
from roundsmith.platform.pod_troubles import scheduled, troubles, waits_silently
from roundsmith.platform.training_job import TrainingKind
from roundsmith.platform.training_kinds import find_kind
from roundsmith.store.root import Root

log = logging.getLogger(__name__)

OLDEST = (1, 30)
"""The first Kubernetes that the chart is for, as its Chart.yaml says."""
GPU = "nvidia.com/gpu"
INSTANCE, COMPONENT = "app.kubernetes.io/instance", "app.kubernetes.io/component"
ISOLATION_S = 10.0
"""How long its executor, which the check of the services has found, may take to tell the tier."""
_T3 = (
    "for T3 set sandbox.runtimeClassName to gVisor's class (in Kata the tier of its kernel is told)"
)
STRONGER = {"T1": f"for T2 set sandbox.seccompProfile; {_T3}", "T2": _T3}
"""By the tier that sandbox pods reach, what brings a stronger one."""
KSERVE, KUEUE = "/apis/serving.kserve.io", "/apis/kueue.x-k8s.io"


def cluster_checks(cluster: ClusterConfig) -> list[Check]:
    """Every check but those of services, in the order a person would mend them."""
    checks: list[Check] = []
    try:
        api = KubernetesApi(cluster.namespace)
        version = api.read("/version")
    except RoundsmithError as error:
        return [Check("kubernetes", False, str(error), "run it by: roundsmith doctor --release")]
    if version is None:
        remedy = "let the pod reach the API server: control.apiServer of the chart"
        return [Check("kubernetes", False, "the API server does not answer", remedy)]
    checks.append(_kubernetes(version))
    if _inference_services(cluster):
        checks.append(_kserve(api))
    checks += [*_trainings(api, cluster), *scheduling(api, cluster)]
    if cluster.model_registry.host:
        checks.append(model_registry(cluster))
    return [*checks, storage(cluster)]


def scheduling(api: KubernetesApi, cluster: ClusterConfig) -> list[Check]:
    """Whether jobs would get pods, and those nodes: of most of it the pod of a run may see nothing,
    and says so; whoever installed the chart may.
    """
    checks: list[Check] = []
    if cluster.jobs.queue:
        checks.append(_queue(api, cluster.jobs.queue))
    if cluster.jobs.priority_class:
        checks.append(_priority(api, cluster.jobs.priority_class))
    return [*checks, gpus(api, cluster)]


def storage(cluster: ClusterConfig) -> Check:
    """Whether the storage takes a file, once: a run commits its work so."""
    name = f"doctor/{uuid.uuid4().hex}"
    try:
        root = Root(cluster.storage)
        wrote = root.create(name, b"roundsmith")
        again = root.create(name, b"another")
        kept = root.read(name)
        root.remove(name)
    except RoundsmithError as error:
        remedy = "check storage.url, storage.endpoint, storage.cidrs and the keys"
        return Check("storage", False, str(error), remedy)
    if not wrote or again or kept != b"roundsmith":
        seen = f"written {wrote}, overwritten {again}, read {kept!r}"
        return Check("storage", False, seen, "use storage with conditional puts (If-None-Match)")
    return Check("storage", True, f"{cluster.storage} takes a file, and keeps the first of two")


def model_registry(cluster: ClusterConfig) -> Check:
    """Whether the Model Registry answers a pod of a run."""
    told = cluster.model_registry
    try:
        version = ModelRegistry(told.host, told.token).reached()
    except RoundsmithError as error:
        remedy = "check modelRegistry.host, modelRegistry.namespace and modelRegistry.token"
        return Check("model registry", False, str(error), remedy)
    return Check("model registry", True, f"{told.host} speaks {version}")


async def isolation(cluster: ClusterConfig) -> Check:
    """The tier that holds in the sandbox pods, as their executor found by trying."""
    try:
        async with connect(cluster.endpoints) as services:
            tier = (await services.executor.capabilities(ISOLATION_S)).tier
    except RoundsmithError as error:
        return Check("isolation", False, str(error), "look at the log of the executor")
    detail = f"{tier}: {LEAVES.get(tier, 'not known')}"
    return Check("isolation", tier in LEAVES, detail, STRONGER.get(tier, ""))


def explained(cluster: ClusterConfig, checks: Sequence[Check]) -> list[Check]:
    """The checks; that of a service which failed tells what keeps its pods, as far as whoever asks
    may see it.
    """
    release = cluster.control.template["metadata"]["labels"].get(INSTANCE)
    ends = cluster.endpoints
    services = {"generator": ends.generator, "scorer": ends.scorer, "serve": cluster.serve.endpoint}
    services |= {"executor": ends.executor, "pair builder": ends.pair_builder}
    found = []
    for check in checks:
        told: list[str] = []
        if release is not None and not check.ok and check.name in services:
            # dns:///RELEASE-executor.NAMESPACE.svc.cluster.local:8033
            namespace = [*services[check.name].split("."), cluster.namespace][1]
            told = _kept(KubernetesApi(namespace), release, check.name.replace(" ", "-"))
            if check.name == "executor":
                told += _kept(KubernetesApi(f"{namespace}-sandbox"), release, "sandbox")
        found.append(replace(check, detail="; ".join([check.detail, *told])))
    return found


def _kept(api: KubernetesApi, release: str, component: str) -> list[str]:
    """What keeps the pods of a component from beginning, or from being made."""
    name = f"{release}-{component}"
    try:
        pods = api.select("pods", f"{INSTANCE}={release},{COMPONENT}", component)
        if not pods:
            return [f"{name} has no pod{why}" for why in _unmade(api, name)]
        told = [str(trouble) for trouble in troubles(pods)]
        for pod in filter(waits_silently, pods):
            if why := api.warned(pod["metadata"]["name"], scheduled(pod)):
                told.append(f"{pod['metadata']['name']}: {why}")
    except RoundsmithError as error:  # who looks may not see them
        log.debug("%s", error)
        return []
    return told


def _unmade(api: KubernetesApi, name: str) -> list[str]:
    """What the conditions of the object that makes pods say of it."""
    of = f"namespaces/{api.namespace}"
    for path, failing in (
        (f"{PATHS['inferenceservices']}/{of}/inferenceservices/{name}", ("Ready", "False")),
        (f"/apis/apps/v1/{of}/deployments/{name}", ("ReplicaFailure", "True")),
    ):
        for condition in ((api.read(path) or {}).get("status") or {}).get("conditions") or []:
            if (condition["type"], condition["status"]) == failing:
                return [f": {condition.get('message', '')}"]
    return [""]


def gpus(api: KubernetesApi, cluster: ClusterConfig) -> Check:
    """Whether the nodes have the GPUs that one training asks for."""
    wanted = _gpus_of(container_of(cluster.training.template, TRAINING_CONTAINER))
    wanted *= cluster.training.replicas
    if not wanted:
        return Check("gpus", True, "trainings ask for none")
    nodes = api.read("/api/v1/nodes")
    if nodes is None:
        seen = f"a training asks for {wanted}; which the nodes have may not be seen from here"
        return Check("gpus", True, seen)
    pool = cluster.training.template["spec"].get("nodeSelector", {})
    have = sum(
        int(node.get("status", {}).get("allocatable", {}).get(GPU, 0))
        for node in nodes["items"]
        if pool.items() <= node["metadata"].get("labels", {}).items()
    )
    place = f" of {pool}" if pool else ""
    remedy = "" if have >= wanted else "add nodes, or lower training.replicas"
    return Check("gpus", have >= wanted, f"a training asks for {wanted}, nodes{place} have {have}",
                 remedy)  # fmt: skip


def needed(kind: TrainingKind, cluster: ClusterConfig) -> Iterator[tuple[str, str, str, str]]:
    """What a run asks of Kubernetes: verb, resource, API group, name."""
    for verb in ("create", "get", "list", "watch", "delete"):
        yield verb, kind.kind, PATHS[kind.kind].split("/")[2], ""
    if kind.kind == "trainjobs":
        for verb in ("create", "delete"):
            yield verb, "trainingruntimes", PATHS["trainingruntimes"].split("/")[2], ""
    for name in _changed_services(cluster):
        for verb in ("get", "patch"):
            yield verb, "inferenceservices", PATHS["inferenceservices"].split("/")[2], name
    yield "list", "pods", "", ""
    yield "get", "pods/log", "", ""


def _inference_services(cluster: ClusterConfig) -> list[str]:
    """The InferenceServices that runs know of; an installation without KServe has none."""
    names = (cluster.generator.inference_service, cluster.serve.inference_service)
    return [name for name in names if name]


def _changed_services(cluster: ClusterConfig) -> list[str]:
    """Those that runs change: a generator that is stopped for trainings, what others are served."""
    stopped = cluster.generator.stopped_while_training
    names = _inference_services(cluster)
    return [n for n in names if stopped or n != cluster.generator.inference_service]


def _kubernetes(version: dict[str, Any]) -> Check:
    seen = str(version.get("gitVersion", "unknown"))
    numbers = tuple(int("".join(filter(str.isdigit, version.get(key, ""))) or 0)
                    for key in ("major", "minor"))  # fmt: skip
    ok = numbers >= OLDEST
    remedy = "" if ok else f"upgrade Kubernetes to {'.'.join(map(str, OLDEST))} or later"
    return Check("kubernetes", ok, seen, remedy)


def _kserve(api: KubernetesApi) -> Check:
    told = api.read(KSERVE)
    if told is None:
        remedy = "install KServe 0.16 or later in Standard mode"
        return Check("kserve", False, f"{KSERVE[6:]} is not there", remedy)
    versions = ", ".join(one["version"] for one in told["versions"])
    return Check("kserve", True, f"{KSERVE[6:]} {versions}")


def _queue(api: KubernetesApi, name: str) -> Check:
    """The LocalQueue, as far as it may be seen: a job with none of this name is queued for ever."""
    told = api.read(KUEUE)
    if told is None:
        remedy = "install Kueue, or leave jobs.queue empty"
        return Check("queue", False, f"{KUEUE[6:]} is not there", remedy)
    version = told["preferredVersion"]["version"]
    queues = api.read(f"{KUEUE}/{version}/namespaces/{api.namespace}/localqueues")
    return _named("queue", name, queues, "make that LocalQueue, or change jobs.queue")


def _trainings(api: KubernetesApi, cluster: ClusterConfig) -> list[Check]:
    """The kind of training job, and whether this pod may do with it what a run does."""
    try:
        kind = find_kind(api, cluster.training.job)
    except RoundsmithError as error:
        return [Check("trainings", False, str(error), "install one of them")]
    lacking = [
        f"{verb} {resource}"
        for verb, resource, group, name in needed(kind, cluster)
        if not api.allowed(verb, resource, group, name)
    ]
    remedy = "grant it as the chart's role for runs does" if lacking else ""
    seen = f"may not {', '.join(lacking)}" if lacking else "all that a run asks for"
    return [
        Check("trainings", True, f"{kind.title}, {PATHS[kind.kind][6:]}"),
        Check("permissions", not lacking, seen, remedy),
    ]


def _priority(api: KubernetesApi, name: str) -> Check:
    """The PriorityClass, as far as it may be seen: a job with none of this name makes no pod."""
    told = api.read("/apis/scheduling.k8s.io/v1/priorityclasses")
    return _named("priority", name, told, "make it, or change jobs.priorityClassName")


def _named(check: str, name: str, told: dict[str, Any] | None, remedy: str) -> Check:
    """Whether one of this name is in a list, which may be None where it may not be seen."""
    if told is None:
        return Check(check, True, f"{name}: which there are may not be seen from here")
    there = name in {one["metadata"]["name"] for one in told["items"]}
    seen = f"{name} is {'there' if there else 'not there'}"
    return Check(check, there, seen, "" if there else remedy)


def _gpus_of(container: dict[str, Any]) -> int:
    resources = container.get("resources", {})
    return int(resources.get("limits", {}).get(GPU, resources.get("requests", {}).get(GPU, 0)))
