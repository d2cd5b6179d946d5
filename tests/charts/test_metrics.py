"""What the chart tells Prometheus and Grafana, where its values ask for it."""

import re

from tests.charts.rendering import CHART, STORED, objects, one, pods

BOARD = CHART / "dashboards" / "roundsmith.json"
SERVICES = ("executor", "pair-builder", "scorer")


def test_by_default_nothing_is_read_and_no_board_is_made() -> None:
    made = objects(*STORED)
    assert not [o for o in made if "metrics" in o["metadata"]["name"]]
    assert not [o for o in made if "dashboard" in o["metadata"]["name"]]
    assert "--metrics-port" not in str(made)


def test_every_service_is_read_on_the_port_that_its_pod_names() -> None:
    made = objects(*STORED, "metrics.enabled=true", "metrics.namespaces={monitoring}")
    found = {}
    for name in SERVICES:
        template = one(made, "Deployment", f"r-{name}")["spec"]["template"]
        found[name] = template["spec"]["containers"][0]["args"], template["metadata"]["annotations"]
    (runtime,) = one(made, "ServingRuntime", "r-generator")["spec"]["containers"]
    predictor = one(made, "InferenceService", "r-generator")["spec"]["predictor"]
    found["generator"] = runtime["args"], predictor["annotations"]
    for arguments, annotations in found.values():
        assert "--metrics-port=9090" in arguments
        assert annotations["prometheus.io/scrape"] == "true"
        assert annotations["prometheus.io/port"] == "9090"
    policy = one(made, "NetworkPolicy", "r-metrics")["spec"]
    (selected,) = policy["podSelector"]["matchExpressions"]
    assert set(selected["values"]) == {*found, "serve"}
    (rule,) = policy["ingress"]
    assert [port["port"] for port in rule["ports"]] == [9090]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"]["matchExpressions"][0]["values"] == ["monitoring"]


def test_a_podmonitor_finds_pods_by_the_port_they_declare_and_reads_the_other() -> None:
    made = objects(*STORED, "metrics.enabled=true", "metrics.podMonitor=true")
    (end,) = one(made, "PodMonitor", "r-services")["spec"]["podMetricsEndpoints"]
    # prometheus-operator keeps a target only where a container declares the port.
    declared = {
        (name, port["containerPort"])
        for name, pod in pods(made)
        for port in pod["containers"][0].get("ports", ())
    }
    assert {(f"r-{name}", end["portNumber"]) for name in (*SERVICES, "generator")} <= declared
    (change,) = end["relabelings"]
    assert (change["sourceLabels"], change["targetLabel"]) == (["__address__"], "__address__")
    for host in ("10.1.2.3", "[fd00::1]"):
        found = re.fullmatch(change["regex"], f"{host}:{end['portNumber']}")
        assert found
        assert change["replacement"].replace("$1", found[1]) == f"{host}:9090"


def test_the_board_is_a_configmap_that_grafana_finds() -> None:
    made = one(objects(*STORED, "metrics.dashboard=true"), "ConfigMap", "r-dashboard")
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert made["data"]["roundsmith.json"] == BOARD.read_text()
