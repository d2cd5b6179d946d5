"""Where services and rounds send their spans, and the one way that is opened for that."""

import json
from urllib.parse import urlsplit

import pytest

from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.control_job import control_job
from tests.charts.rendering import STORED, Object, cluster, objects, one, pods, template
from tests.services.serve.test_traces_and_logs import ENDPOINTS, NONSENSE

ENDPOINT = "http://collector.observability:4317"
SENT = (*STORED, "serve.enabled=true", f"tracing.otlpEndpoint={ENDPOINT}")
WITHIN = "tracing.namespaces={observability}"
SERVICES = {"r-executor", "r-generator", "r-pair-builder", "r-scorer", "r-serve"}


def senders(found: list[Object]) -> set[str]:
    """The pods that are told of the collector."""
    return {
        name
        for name, pod in pods(found)
        for container in pod["containers"]
        if f"--otlp-endpoint={ENDPOINT}" in container.get("args", [])
    }


def opened(policy: Object) -> set[str]:
    """The components that a policy lets out."""
    (chosen,) = policy["spec"]["podSelector"]["matchExpressions"]
    assert (chosen["key"], chosen["operator"]) == ("app.kubernetes.io/component", "In")
    assert policy["spec"]["policyTypes"] == ["Egress"]
    return set(chosen["values"])


def test_by_default_no_span_is_sent_and_no_way_is_opened() -> None:
    found = objects(*STORED)
    assert "--otlp-endpoint" not in str(found)
    assert not [o for o in found if o["metadata"]["name"] == "r-tracing"]
    config = ClusterConfig.parse(json.dumps(cluster(found)), "the chart")
    (container,) = control_job(config, "r-a", "a", (), {})["spec"]["template"]["spec"]["containers"]
    assert "--otlp-endpoint" not in container["args"]


@pytest.mark.parametrize("kserve", ["true", "false"])
def test_every_service_and_the_pod_of_a_run_send_their_spans_to_the_collector(kserve: str) -> None:
    found = objects(*SENT, WITHIN, f"kserve.enabled={kserve}", "kserve.scorer=true")
    assert senders(found) == SERVICES
    config = ClusterConfig.parse(json.dumps(cluster(found)), "the chart")
    (container,) = control_job(config, "r-a", "a", (), {})["spec"]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--otlp-endpoint", ENDPOINT]


def test_what_sends_spans_reaches_the_collector_and_nothing_else_does() -> None:
    found = objects(*SENT, WITHIN, "tracing.cidrs={10.0.0.0/8,fd00::/8}")
    policy = one(found, "NetworkPolicy", "r-tracing")
    assert opened(policy) == {name.removeprefix("r-") for name in SERVICES} | {"control"}
    outside, inside = policy["spec"]["egress"]
    assert [peer["ipBlock"]["cidr"] for peer in outside["to"]] == ["10.0.0.0/8", "fd00::/8"]
    assert outside["ports"] == [{"port": 4317, "protocol": "TCP"}]
    (peer,) = inside["to"]
    assert peer["namespaceSelector"]["matchExpressions"][0]["values"] == ["observability"]
    others = [o for o in found if o["kind"] == "NetworkPolicy" and o is not policy]
    without = objects(*STORED, "serve.enabled=true")
    assert others == [o for o in without if o["kind"] == "NetworkPolicy"]


def test_nothing_is_opened_that_was_not_named() -> None:
    def ways(*values: str) -> list[Object]:
        found: list[Object] = one(objects(*SENT, *values), "NetworkPolicy", "r-tracing")["spec"][
            "egress"
        ]
        return found

    (inside,) = ways(WITHIN)
    assert "ipBlock" not in str(inside)
    (outside,) = ways("tracing.cidrs={192.0.2.7/32}")
    assert outside["to"] == [{"ipBlock": {"cidr": "192.0.2.7/32"}}]


def test_the_sandbox_learns_of_no_collector_and_gets_no_way_out() -> None:
    def sandbox(*values: str) -> list[Object]:
        found = objects(*values, "serve.enabled=true", "sandbox.maxReplicas=3")
        return [o for o in found if o["metadata"].get("namespace") == "lab-sandbox"]

    assert sandbox(*SENT, WITHIN) == sandbox(*STORED)
    policy = one(sandbox(*SENT, WITHIN), "NetworkPolicy", "r-sandbox")
    assert "egress" not in policy["spec"]


def test_kserves_own_runtime_knows_no_such_option_and_gets_no_way_out() -> None:
    found = objects(*SENT, WITHIN, "serve.runtime=stock", "serve.checkpoint=s3://b/p")
    served = one(found, "InferenceService", "r-serve")["spec"]["predictor"]["model"]
    assert ENDPOINT not in str(served)
    assert "serve" not in opened(one(found, "NetworkPolicy", "r-tracing"))


def test_each_namespace_opens_the_way_for_the_pods_that_are_in_it() -> None:
    keys = ("storage.existingSecret=keys", "serve.enabled=false")
    found = objects(*SENT, WITHIN, *keys, "profiles[0].namespace=ann", "profiles[1].namespace=ben")
    policies = [o for o in found if o["metadata"]["name"] == "r-tracing"]
    own = {"control", "generator", "scorer"}
    assert {o["metadata"]["namespace"]: opened(o) for o in policies} == {
        **{"lab": {"executor", "pair-builder"}, "ann": own, "ben": own}
    }


@pytest.mark.parametrize("endpoint", [each for each in NONSENSE if each])
def test_what_services_would_refuse_is_refused_by_the_chart(endpoint: str) -> None:
    done = template(*STORED, WITHIN, f"tracing.otlpEndpoint={endpoint}")
    assert done.returncode != 0
    of_the_schema = "tracing.otlpEndpoint: Does not match pattern"
    in_words = "tracing.otlpEndpoint: expected http://HOST:PORT, or https://HOST:PORT for TLS"
    assert of_the_schema in done.stderr or f"{in_words}, of a collector" in done.stderr


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_port_that_is_opened_is_that_of_the_endpoint(endpoint: str) -> None:
    found = objects(*STORED, f"tracing.otlpEndpoint={endpoint}", "tracing.cidrs={10.0.0.0/8}")
    (way,) = one(found, "NetworkPolicy", "r-tracing")["spec"]["egress"]
    assert way["ports"] == [{"port": urlsplit(endpoint).port, "protocol": "TCP"}]


def test_a_collector_that_no_pod_would_reach_is_refused() -> None:
    done = template(*SENT)
    assert done.returncode != 0
    assert "tracing: expected namespaces or cidrs beside otlpEndpoint, saw neither" in done.stderr
