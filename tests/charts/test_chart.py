"""The chart as helm renders it: what may be set, what pods are allowed, what rounds are told."""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types

from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.training_job import Asked
from roundsmith.sandbox import __name__ as sandbox_package
from tests.charts.rendering import (
    CHART,
    STORED,
    WHOLE,
    Object,
    cluster,
    helm,
    objects,
    one,
    pods,
    template,
)

ROOT = CHART.parents[1]
SELECTOR = {"app.kubernetes.io/name": "roundsmith", "app.kubernetes.io/instance": "r"}


@pytest.mark.parametrize("values", [(), STORED, WHOLE], ids=["defaults", "stored", "whole"])
def test_helm_finds_nothing_to_complain_about(values: tuple[str, ...]) -> None:
    sets = [word for value in values for word in ("--set", value)]
    done = helm("lint", "--strict", str(CHART), *sets)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


def test_the_chart_has_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (CHART / "Chart.yaml").read_text().splitlines()
    assert f"version: {project['version']}" in lines
    assert f"appVersion: {project['version']}" in lines


def test_what_must_be_given_is_named() -> None:
    done = template()
    assert done.returncode != 0
    assert "storage.url: expected s3://BUCKET/PREFIX, saw nothing" in done.stderr


def test_every_object_says_what_it_belongs_to() -> None:
    for item in objects(*WHOLE):
        labels = item["metadata"]["labels"]
        assert SELECTOR.items() <= labels.items(), item["metadata"]["name"]
        assert {"version", "part-of", "managed-by"} <= {k.rpartition("/")[2] for k in labels}
        assert labels["helm.sh/chart"].startswith("roundsmith-")


def test_every_pod_is_hardened() -> None:
    found = dict(pods(objects(*WHOLE)))
    assert len(found) == 9
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["enableServiceLinks"] is False, name
        assert pod["automountServiceAccountToken"] is (name in ("control", "r-executor")), name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"]["cpu"], name
            assert container["image"].rpartition(":")[2] == "0.1.0", name


def test_the_requests_of_everything_fit_a_node_of_two_cores() -> None:
    def cores(quantity: str) -> float:
        return float(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)

    found = dict(pods(objects(*STORED)))
    replicas = cluster(objects(*STORED))["training"]["replicas"]
    asked = {
        name: sum(cores(c["resources"]["requests"]["cpu"]) for c in pod["containers"])
        for name, pod in found.items()
    }
    assert sum(asked.values()) + (replicas - 1) * asked["training"] < 1.5, asked


def test_the_sandbox_has_a_locked_namespace_of_its_own() -> None:
    found = objects(*WHOLE)
    namespace = one(found, "Namespace", "lab-sandbox")
    for mode in ("enforce", "audit", "warn"):
        label = f"pod-security.kubernetes.io/{mode}"
        assert namespace["metadata"]["labels"][label] == "restricted"
    inside = {o["kind"] for o in found if o["metadata"].get("namespace") == "lab-sandbox"}
    kept = {"Deployment", "Service", "NetworkPolicy", "ResourceQuota", "LimitRange"}
    assert inside == kept | {"Role", "RoleBinding", "PodDisruptionBudget"}
    hard = one(found, "ResourceQuota", "r-sandbox")["spec"]["hard"]
    assert hard == {
        "pods": "6",
        "services": "1",
        "services.nodeports": "0",
        "services.loadbalancers": "0",
        "persistentvolumeclaims": "0",
    }


def test_a_container_of_the_sandbox_may_be_as_large_as_the_larger_of_its_two() -> None:
    def most(*values: str) -> Object:
        [limit] = one(objects(*STORED, *values), "LimitRange", "r-sandbox")["spec"]["limits"]
        return dict(limit["max"])

    worker = "sandbox.worker.resources.limits"
    assert most() == {"cpu": "2", "memory": "2Gi"}
    assert most(f"{worker}.memory=3000Mi") == {"cpu": "2", "memory": "3000Mi"}
    assert most(f"{worker}.memory=2000Mi", f"{worker}.cpu=2500m") == {
        "cpu": "2500m",
        "memory": "2Gi",
    }


def test_who_counts_the_pods_of_the_sandbox_is_not_overruled_by_an_upgrade() -> None:
    def asked(*values: str) -> Object:
        return dict(one(objects(*STORED, *values), "Deployment", "r-sandbox")["spec"])

    assert asked("sandbox.replicas=2", "sandbox.maxReplicas=2")["replicas"] == 2
    assert "replicas" not in asked("sandbox.replicas=2", "sandbox.maxReplicas=5")


def test_names_that_would_not_fit_are_refused() -> None:
    sets = ("--set", STORED[0])
    long = helm("template", "r" * 39, str(CHART), *sets)
    assert "the release: expected a name of at most 38 characters" in long.stderr
    wide = helm("template", "r", str(CHART), "--namespace", "n" * 56, *sets)
    assert "the namespace: expected a name of at most 55 characters" in wide.stderr
    most = helm("template", "r" * 38, str(CHART), *sets, "--set", "environment.hostPath=/e")
    made = [o for o in yaml.safe_load_all(most.stdout) if o and o["kind"] != "PersistentVolume"]
    assert max(len(o["metadata"]["name"]) for o in made) <= 63
    [service] = [o for o in made if o["kind"] == "Service" and "generator" in o["metadata"]["name"]]
    assert len(service["spec"]["selector"]["app"]) == 63, "KServe's label, longer than its name"


def test_a_release_may_be_called_by_a_number() -> None:
    done = helm("template", "123", str(CHART), "--set", STORED[0])
    for item in filter(None, yaml.safe_load_all(done.stdout)):
        assert item["metadata"]["labels"]["app.kubernetes.io/instance"] == "123"


def test_a_pod_that_another_takes_over_from_answers_until_its_address_is_gone() -> None:
    def stays(name: str, *values: str) -> bool:
        container = dict(pods(objects(*STORED, *values)))[name]["containers"][0]
        return "preStop" in container.get("lifecycle", {})

    assert stays("r-executor")
    assert not stays("r-generator")
    assert stays("r-generator", "generator.strategy=surge")
    assert stays("r-generator", "generator.replicas=2")
    scaled = ("generator.scaling.by=hpa", "generator.scaling.maxReplicas=2")
    assert stays("r-generator", *scaled), "another is there when it goes"


def test_the_sandbox_speaks_to_nobody_and_only_the_executor_to_its_worker() -> None:
    found = objects(*WHOLE)
    policy = one(found, "NetworkPolicy", "r-sandbox")
    assert policy["metadata"]["namespace"] == "lab-sandbox"
    assert policy["spec"]["podSelector"] == {}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy["spec"]
    [rule] = policy["spec"]["ingress"]
    assert rule["ports"] == [{"port": 50061, "protocol": "TCP"}]
    executor = {**SELECTOR, "app.kubernetes.io/component": "executor"}
    assert rule["from"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "lab"}},
            "podSelector": {"matchLabels": executor},
        }
    ]
    template = one(found, "Deployment", "r-executor")["spec"]["template"]
    assert executor.items() <= template["metadata"]["labels"].items()
    asked = "--sandboxes=r-sandbox.lab-sandbox.svc.cluster.local:50061"
    assert asked in template["spec"]["containers"][0]["args"]


def test_the_sandbox_pod_keeps_programs_from_their_worker() -> None:
    pod = dict(pods(objects(*WHOLE)))["r-sandbox"]
    worker, programs = pod["containers"]
    assert (worker["name"], programs["name"]) == ("worker", "sandbox")
    users = [c["securityContext"]["runAsUser"] for c in (worker, programs)]
    assert len(set(users)) == 2
    assert 0 not in users
    shared = {m["name"] for m in worker["volumeMounts"]} & {
        m["name"] for m in programs["volumeMounts"]
    }
    assert shared == {"socket"}
    [socket] = [m for m in programs["volumeMounts"] if m["name"] == "socket"]
    assert socket["readOnly"] is True
    assert pod.get("shareProcessNamespace", False) is False
    for volume in pod["volumes"]:
        assert volume["emptyDir"]["medium"] == "Memory"
        assert volume["emptyDir"]["sizeLimit"]
    for container in (worker, programs):
        assert set(container["resources"]["limits"]) >= {"cpu", "memory"}
    assert programs["command"][:3] == ["python3", "-m", f"{sandbox_package}.pod"]
    assert pod["dnsPolicy"] == "None"
    assert pod["runtimeClassName"] == "gvisor"
    assert "runtimeClassName" not in dict(pods(objects(*STORED)))["r-sandbox"]


def test_programs_alone_get_the_profile_that_allows_namespaces_and_only_when_asked_for() -> None:
    given = dict(pods(objects(*WHOLE)))["r-sandbox"]
    assert given["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    worker, programs = given["containers"]
    assert "seccompProfile" not in worker["securityContext"]
    asked = {"type": "Localhost", "localhostProfile": "roundsmith-sandbox.json"}
    assert programs["securityContext"]["seccompProfile"] == asked
    for container in dict(pods(objects(*STORED)))["r-sandbox"]["containers"]:
        assert "seccompProfile" not in container["securityContext"]


def test_the_executor_may_scale_and_replace_the_sandbox_pods_where_there_may_be_more() -> None:
    found = objects(*WHOLE)
    pod = dict(pods(found))["r-executor"]
    asked = {"--deployment=lab-sandbox/r-sandbox", "--min-pods=1", "--max-pods=5"}
    assert asked <= set(pod["containers"][0]["args"])
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("r-executor", True)
    [role] = [o for o in found if o["kind"] == "Role" and o["metadata"]["name"] == "r-executor"]
    assert role["metadata"]["namespace"] == "lab-sandbox"
    rights = {
        (what, verb): tuple(rule.get("resourceNames", ()))
        for rule in role["rules"]
        for what in rule["resources"]
        for verb in rule["verbs"]
    }
    assert rights == {
        ("deployments", "get"): ("r-sandbox",),
        ("deployments/scale", "patch"): ("r-sandbox",),
        ("pods", "list"): (),
        ("pods", "patch"): (),
        ("pods", "delete"): (),
    }
    policy = one(found, "NetworkPolicy", "r-executor")["spec"]
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {50061, 443, 6443}
    assert one(found, "ResourceQuota", "r-sandbox")["spec"]["hard"]["pods"] == "6"


def test_an_executor_of_a_fixed_number_of_pods_may_ask_kubernetes_nothing() -> None:
    found = objects(*STORED)
    pod = dict(pods(found))["r-executor"]
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod
    assert not [o for o in found if o["kind"] == "Role" and o["metadata"]["name"] == "r-executor"]
    policy = one(found, "NetworkPolicy", "r-executor")["spec"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {50061}


@pytest.mark.parametrize(("values", "floor"), [(STORED, "T1"), (WHOLE, "T2")])
def test_the_executor_is_told_the_floor(values: tuple[str, ...], floor: str) -> None:
    pod = dict(pods(objects(*values)))["r-executor"]
    assert f"--floor={floor}" in pod["containers"][0]["args"]


def test_every_pod_of_the_release_is_denied_what_no_policy_allows() -> None:
    found = objects(*WHOLE)
    deny = one(found, "NetworkPolicy", "r-deny")["spec"]
    assert deny["podSelector"]["matchLabels"] == SELECTOR
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert {port["port"] for rule in deny["egress"] for port in rule["ports"]} == {53}


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("http://10.0.0.1:7070", 7070),
        ("http://minio.storage", 80),
        ("https://minio.storage/", 443),
        ("", 443),
    ],
)
def test_pods_with_weights_reach_the_storage_on_its_port_alone(endpoint: str, port: int) -> None:
    found = objects(*STORED, f"storage.endpoint={endpoint}", "storage.cidrs={10.0.0.0/8}")
    for name in ("r-weights", "r-training", "r-control"):
        rules = one(found, "NetworkPolicy", name)["spec"]["egress"]
        to = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
        assert {"to": to, "ports": [{"port": port, "protocol": "TCP"}]} in rules


ROLLOUTS = {
    **SELECTOR,
    "app.kubernetes.io/component": "training",
    "roundsmith.dev/rollouts": "true",
}


def test_the_round_alone_may_swap_weights_and_its_training_that_samples_from_them() -> None:
    [rule] = one(objects(*WHOLE), "NetworkPolicy", "r-weights")["spec"]["ingress"]
    assert rule["ports"] == [{"port": 8034, "protocol": "TCP"}]
    control = {**SELECTOR, "app.kubernetes.io/component": "control"}
    assert rule["from"] == [{"podSelector": {"matchLabels": m}} for m in (control, ROLLOUTS)]


def test_a_training_that_samples_reaches_the_generator_and_the_executor_alone() -> None:
    found = objects(*WHOLE)
    policy = one(found, "NetworkPolicy", "r-rollouts")["spec"]
    assert policy["podSelector"]["matchLabels"] == ROLLOUTS
    reached = {
        (
            rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"],
            *(port["port"] for port in rule["ports"]),
        )
        for rule in policy["egress"]
    }
    assert reached == {("generator", 8033, 8034), ("executor", 8033)}
    [rule] = one(found, "NetworkPolicy", "r-services")["spec"]["ingress"]
    assert {"podSelector": {"matchLabels": ROLLOUTS}} in rule["from"]


@pytest.mark.parametrize("tls", [False, True])
def test_a_training_that_samples_has_its_label_and_the_certificate_of_rounds(tls: bool) -> None:
    secrets = ("tls.serverSecret=s", "tls.clientSecret=c")
    config = ClusterConfig.parse(
        json.dumps(cluster(objects(*STORED, f"tls.enabled={str(tls).lower()}", *secrets))), "c"
    )
    for rolls_out in (False, True):
        template = Asked(config, "s3://bucket/r", rolls_out=rolls_out).template()
        labels = template["metadata"]["labels"]
        assert (ROLLOUTS.items() <= labels.items()) is rolls_out
        [container] = template["spec"]["containers"]
        shown = [v for v in template["spec"]["volumes"] if v["name"] == "tls"]
        mounts = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == "tls"]
        wanted = [{"name": "tls", "secret": {"secretName": "c", "defaultMode": 0o440}}]
        assert shown == wanted * (tls and rolls_out)
        assert mounts == ["/etc/roundsmith-tls"] * (tls and rolls_out)
    assert (config.endpoints.tls is not None) is tls


def test_the_generator_declares_one_port_and_says_what_it_needs() -> None:
    found = objects(*WHOLE, "kserve.deploymentMode=RawDeployment")
    [container] = one(found, "ServingRuntime", "r-generator")["spec"]["containers"]
    assert container["name"] == "kserve-container"
    assert [port["containerPort"] for port in container["ports"]] == [8033]
    assert not {env["name"] for env in container["env"]} & {"PYTHONPATH", "LD_PRELOAD"}
    service = one(found, "InferenceService", "r-generator")
    assert service["spec"]["predictor"]["model"]["resources"] == container["resources"]
    mode = "serving.kserve.io/deploymentMode"
    assert service["metadata"]["annotations"][mode] == "RawDeployment"
    own = one(found, "Service", "r-generator")["spec"]
    assert own["selector"] == {"app": "isvc.r-generator-predictor"}
    assert own["clusterIP"] == "None"
    assert [p["port"] for p in own["ports"]] == [8033, 8034]


@pytest.mark.parametrize("job", ["auto", "pytorchjob", "trainjob"])
def test_the_control_pod_may_do_what_a_round_needs_and_nothing_more(job: str) -> None:
    found = objects(*WHOLE, f"training.job={job}")
    allowed = {
        (resource, *sorted(rule["verbs"]), *rule.get("resourceNames", ()))
        for rule in one(found, "Role", "r-control")["rules"]
        for resource in rule["resources"]
    }
    kinds: dict[str, set[tuple[str, ...]]] = {
        "pytorchjob": {("pytorchjobs", "create", "delete", "get", "list", "watch")},
        "trainjob": {
            ("trainjobs", "create", "delete", "get", "list", "watch"),
            ("trainingruntimes", "create", "delete"),
        },
    }
    trainings = kinds["pytorchjob"] | kinds["trainjob"] if job == "auto" else kinds[job]
    assert allowed == trainings | {
        ("pods", "list"),
        ("pods/log", "get"),
        ("events", "list"),
        ("inferenceservices", "get", "patch", "r-generator"),
    }
    assert not [o for o in found if o["kind"].startswith("ClusterRole")]
    [subject] = one(found, "RoleBinding", "r-control")["subjects"]
    assert subject["name"] == dict(pods(found))["control"]["serviceAccountName"]


@pytest.mark.parametrize(("token", "may"), [("", False), ("/token", True)])
def test_who_uploads_the_pipeline_for_one_of_several_users_may_do_so(token: str, may: bool) -> None:
    host = ("pipelines.upload=true", "pipelines.host=http://kfp", f"pipelines.token={token}")
    found = objects(*STORED, *host)
    rules = [rule for o in found if o["kind"] == "Role" for rule in o["rules"]]
    told = [rule for rule in rules if "pipelines.kubeflow.org" in rule["apiGroups"]]
    assert bool(told) is may
    for rule in told:
        assert rule["resources"] == ["pipelines", "pipelines/versions"]
        assert rule["verbs"] == ["create", "get", "list"]
    account = one(found, "Job", "r-upload")["spec"]["template"]["spec"]["serviceAccountName"]
    assert account == one(found, "RoleBinding", "r-control")["subjects"][0]["name"]


@pytest.mark.parametrize("values", [STORED, WHOLE], ids=["stored", "whole"])
def test_rounds_can_read_what_the_chart_tells_them(values: tuple[str, ...]) -> None:
    found = objects(*values)
    config = ClusterConfig.parse(json.dumps(cluster(found)), "the chart")
    assert (config.namespace, config.store) == ("lab", "s3://bucket/prefix/store")
    assert config.training.replicas == (3 if values is WHOLE else 2)
    services = {
        (o["metadata"]["name"], port["port"])
        for o in found
        if o["kind"] == "Service"
        for port in o["spec"]["ports"]
    }
    for name, target in config.endpoints.model_dump(exclude={"tls"}).items():
        host, port = target.removeprefix("dns:///").split(":")
        service, namespace, *_ = host.split(".")
        assert (service, int(port)) in services, name
        assert namespace == "lab"


def test_trainings_have_the_deadline_and_the_checkpoints_of_the_values() -> None:
    def told(*values: str) -> tuple[int | None, int]:
        config = ClusterConfig.parse(json.dumps(cluster(objects(*STORED, *values))), "the chart")
        return config.training.deadline_s, config.training.checkpoint_every_steps

    assert told() == (None, 50)
    assert told("training.deadlineSeconds=7200", "training.checkpointEverySteps=10") == (7200, 10)


def test_helms_test_waits_as_long_as_a_model_may_take_to_load() -> None:
    def waits(preset: str = "") -> str:
        made = one(objects(*STORED, preset=preset), "Pod", "r-test")
        [container] = made["spec"]["containers"]
        args: list[str] = container["args"]
        return args[args.index("--patience") + 1]

    assert (waits(), waits("gpu")) == ("600", "1800")


def test_keys_are_in_a_secret_alone() -> None:
    found = objects(*WHOLE)
    secret = one(found, "Secret", "r-storage")
    assert secret["stringData"] == {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    others = [item for item in found if item["kind"] != "Secret"]
    assert "'secret'" not in str(others)
    keyless = ("storage.accessKeyId=", "storage.secretAccessKey=")
    named = objects(*WHOLE, *keyless, "storage.existingSecret=mine")
    assert not [item for item in named if item["kind"] == "Secret"]
    keys = {
        env["valueFrom"]["secretKeyRef"]["name"]
        for _, pod in pods(named)
        for container in pod["containers"]
        for env in container.get("env", ())
        if "valueFrom" in env
    }
    assert keys == {"mine"}


def test_where_there_is_no_compiler_vllm_compiles_nothing() -> None:
    def told(*values: str) -> set[str]:
        container = dict(pods(objects(*STORED, *values)))["r-generator"]["containers"][0]
        return {env["name"] for env in container["env"]}

    vllm = ("generator.engine=vllm", "models.sharedMemory=1Gi")
    assert "TORCHDYNAMO_DISABLE" not in told()
    assert "TORCHDYNAMO_DISABLE" in told(*vllm, "environment.hostPath=/environment")
    assert "TORCHDYNAMO_DISABLE" not in told(*vllm, "models.device=cuda")


def test_an_environment_comes_from_a_folder_of_the_node_or_a_claim() -> None:
    found = objects(*WHOLE)
    [volume] = [o for o in found if o["kind"] == "PersistentVolume"]
    [claim] = [o for o in found if o["kind"] == "PersistentVolumeClaim"]
    assert volume["spec"]["hostPath"]["path"] == "/environment"
    name = claim["metadata"]["name"]
    assert volume["spec"]["claimRef"] == {"namespace": "lab", "name": name}
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"] == f"lab-{name}"
    volumes = dict(pods(found))["r-scorer"]["volumes"]
    assert name in [v.get("persistentVolumeClaim", {}).get("claimName") for v in volumes]
    others = objects(*WHOLE, "environment.hostPath=/another")
    assert not [o for o in others if o["metadata"]["name"] in (name, f"lab-{name}")]
    claimed = objects(*STORED, "environment.existingClaim=mine")
    assert not [o for o in claimed if o["kind"].startswith("PersistentVolume")]
    for name in ("r-generator", "r-scorer", "training"):
        [mount] = [
            m
            for m in dict(pods(claimed))[name]["containers"][0]["volumeMounts"]
            if m["name"] == "environment"
        ]
        assert mount["readOnly"] is True
        assert mount["subPath"] == "lib/python3.11/site-packages"


def test_installing_without_a_cluster_says_what_to_export(tmp_path: Path) -> None:
    command = [str(ROOT / "charts/install"), "check"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "KUBECONFIG: expected" in done.stderr
    environment["KUBECONFIG"] = str(tmp_path / "config")
    assert subprocess.run(command, env=environment, check=False).returncode == 0
