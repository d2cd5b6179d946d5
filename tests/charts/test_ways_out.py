"""Where pods may reach out to: names, a storage within the cluster, a model hub or none."""

import re
import shutil
from pathlib import Path

import pytest
import typer

from roundsmith.cli import app
from roundsmith.platform.cluster_checks import OLDEST
from tests.charts.rendering import CHART, STORED, Object, cluster, helm, objects, one, pods

WORKLOADS = ("Deployment", "Job")


def test_names_are_asked_of_a_cache_on_the_nodes_where_one_is_named() -> None:
    values = ("dns.cidrs={169.254.20.10/32}", "dns.ports={53,5353}")
    [rule] = one(objects(*STORED, *values), "NetworkPolicy", "r-deny")["spec"]["egress"]
    assert rule["to"] == [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "169.254.20.10/32"}}]
    assert {(p["port"], p["protocol"]) for p in rule["ports"]} == {
        (port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")
    }


@pytest.mark.parametrize("name", ["r-weights", "r-training", "r-control"])
def test_pods_without_keys_may_ask_their_node_for_some_and_others_may_not(name: str) -> None:
    def asked(*values: str) -> set[str]:
        rules = one(objects(*STORED, *values), "NetworkPolicy", name)["spec"]["egress"]
        blocks = [p["ipBlock"]["cidr"] for r in rules for p in r["to"] if "ipBlock" in p]
        return {block for block in blocks if block.startswith("169.254.")}

    assert asked() == {"169.254.169.254/32", "169.254.170.23/32"}
    assert asked("storage.existingSecret=keys") == set()
    assert asked("storage.accessKeyId=id", "storage.secretAccessKey=x") == set()


def test_a_round_reaches_the_model_registry_where_one_is_named() -> None:
    def within(*values: str) -> list[str]:
        rules = one(objects(*STORED, *values), "NetworkPolicy", "r-control")["spec"]["egress"]
        peers = [p["namespaceSelector"] for r in rules for p in r["to"] if "namespaceSelector" in p]
        return [peer["matchLabels"]["kubernetes.io/metadata.name"] for peer in peers]

    host = "modelRegistry.host=http://model-registry-service.kubeflow:8080"
    assert within() == []
    assert within(host) == ["kubeflow"]
    assert within(host, "modelRegistry.namespace=models") == ["models"]


def test_the_model_of_a_registry_is_called_by_the_installation_unless_it_has_a_name() -> None:
    def told(*values: str) -> dict[str, str]:
        found: dict[str, str] = cluster(objects(*STORED, *values))["model_registry"]
        return found

    host = "http://registry:8080"
    assert told() == {}
    assert told(f"modelRegistry.host={host}") == {"host": host, "model": "r-lab", "token": ""}
    named = ("modelRegistry.model=coder", "modelRegistry.token=/t")
    assert told(f"modelRegistry.host={host}", *named) == {
        "host": host,
        "model": "coder",
        "token": "/t",
    }


@pytest.mark.parametrize("name", ["r-weights", "r-training", "r-control"])
def test_a_storage_in_the_cluster_is_reached_whatever_port_its_service_maps_to(name: str) -> None:
    def within(*values: str) -> list[Object]:
        rules = one(objects(*STORED, *values), "NetworkPolicy", name)["spec"]["egress"]
        return [r for r in rules if "namespaceSelector" in r["to"][0]]

    assert within() == []
    [rule] = within("storage.namespaces={minio}")
    assert "ports" not in rule
    [peer] = rule["to"]
    assert peer["namespaceSelector"]["matchExpressions"][0]["values"] == ["minio"]


@pytest.mark.parametrize(("values", "told"), [((), "1"), (("models.offline=false",), "0")])
def test_no_pod_asks_a_model_hub_unless_it_may(values: tuple[str, ...], told: str) -> None:
    stock = ("serve.enabled=true", "serve.runtime=stock", "serve.checkpoint=s3://b/p")
    found = objects(*STORED, *stock, *values)
    by_name = dict(pods(found))
    models = [by_name[n]["containers"][0] for n in ("r-generator", "r-scorer", "training")]
    served = one(found, "InferenceService", "r-serve")["spec"]["predictor"]["model"]
    for container in (*models, by_name["control"]["containers"][0], served):
        assert {"name": "HF_HUB_OFFLINE", "value": told} in container["env"]
    assert one(found, "ConfigMap", "r-cluster")["data"]["HF_HUB_OFFLINE"] == told


@pytest.mark.parametrize("stock", [(), ("serve.runtime=stock", "serve.checkpoint=s3://b/p")])
@pytest.mark.parametrize(("sidecar", "told"), [("false", {"false"}), ("true", {None})])
def test_istio_puts_a_sidecar_beside_no_pod_unless_it_may(
    stock: tuple[str, ...], sidecar: str, told: set[str | None]
) -> None:
    found = objects(*STORED, "serve.enabled=true", f"jobs.istioSidecar={sidecar}", *stock)
    labels = [o["spec"]["template"]["metadata"]["labels"] for o in found if o["kind"] in WORKLOADS]
    labels += [o["spec"]["predictor"]["labels"] for o in found if o["kind"] == "InferenceService"]
    labels += [o["metadata"]["labels"] for o in found if o["kind"] == "Pod"]
    assert len(labels) == 7, "executor, pair builder, sandbox, scorer, generator, serve, test"
    assert {each.get("sidecar.istio.io/inject") for each in labels} == told


def test_a_sidecar_reaches_who_configures_it_and_no_other_pod_does() -> None:
    def within(*values: str) -> list[Object]:
        found = objects(*STORED, *values)
        assert "egress" not in one(found, "NetworkPolicy", "r-sandbox")["spec"]
        rules = one(found, "NetworkPolicy", "r-deny")["spec"]["egress"]
        return [rule for rule in rules if {"namespaceSelector": {}} not in rule["to"]]

    assert within() == []
    [rule] = within("jobs.istioSidecar=true")
    istio = {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}}
    assert rule["to"] == [{"namespaceSelector": istio}]
    assert rule["ports"] == [{"port": 15012, "protocol": "TCP"}]


def test_chart_and_doctor_ask_for_the_same_kubernetes() -> None:
    [version] = re.findall(r'kubeVersion: ">=([0-9.]+)\.0-0"', (CHART / "Chart.yaml").read_text())
    assert version == ".".join(map(str, OLDEST))
    assert (
        f"| Kubernetes | {version} or later" in (CHART.parents[1] / "docs/cluster.md").read_text()
    )


NOTES = """{{ define "notes" }}%s{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: { name: notes }
data: { notes: {{ include "notes" . | toJson }} }
"""
"""What shows the notes of an installation, which helm renders on a cluster alone."""


def test_an_installation_says_where_kserve_makes_no_generator_of_its_name(tmp_path: Path) -> None:
    chart = shutil.copytree(CHART, tmp_path / "roundsmith")
    (chart / "templates/notes.yaml").write_text(NOTES % (chart / "templates/NOTES.txt").read_text())

    def told(release: str, *values: str) -> str:
        sets = [word for value in (*STORED, *values) for word in ("--set", value)]
        shown = ("--namespace", "n" * 30, "--show-only", "templates/notes.yaml")
        return str(helm("template", release, str(chart), *shown, *sets).stdout)

    long = f"{'r' * 13}-generator-predictor-{'n' * 30} has 64 characters, of at most 63"
    assert long in told("r" * 13)
    assert "Play a round" in told("r" * 12)
    for fits in (told("r" * 12), told("r" * 13, "kserve.enabled=false")):
        assert "characters" not in fits


def test_the_commands_that_an_installation_names_are_commands() -> None:
    notes = re.sub(r"\{\{[^}]*\}\}", "x", (CHART / "templates/NOTES.txt").read_text())
    named = re.findall(r"^  roundsmith (\S+) (.*)$", notes, re.MULTILINE)
    assert {name for name, _ in named} == {"submit", "promote"}
    group = typer.main.get_group(app)
    for name, options in named:
        with typer.Context(group) as outer:
            command = group.get_command(outer, name)
            assert command is not None
            command.make_context(name, options.split(), parent=outer)
