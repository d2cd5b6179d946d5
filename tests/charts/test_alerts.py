"""Every alert has a runbook, asks for metrics that services tell, and comes only when wanted."""

import re
from typing import Any

from tests.charts.rendering import CHART, STORED, objects, one

ROOT = CHART.parents[1]
ASKED = ("metrics.enabled=true", "metrics.alerts=true", "metrics.labels.release=prometheus")


def rules() -> list[dict[str, Any]]:
    """The alerts as the chart makes them."""
    made = one(objects(*STORED, *ASKED), "PrometheusRule", "r-alerts")
    assert made["metadata"]["labels"]["release"] == "prometheus"
    [group] = made["spec"]["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_no_alert_is_made_by_default() -> None:
    assert "PrometheusRule" not in {o["kind"] for o in objects(*STORED)}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    text = (ROOT / "docs/alerts.md").read_text()
    headings = re.findall(r"^## (\S+)$", text, re.MULTILINE)
    assert headings == [rule["alert"] for rule in rules()]
    for rule in rules():
        annotations = rule["annotations"]
        assert annotations["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert annotations["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_a_service_without_a_pod_is_away_unless_it_is_stopped_on_purpose() -> None:
    def missed(*values: str) -> set[str]:
        made = one(objects(*STORED, *ASKED, *values), "PrometheusRule", "r-alerts")
        away = made["spec"]["groups"][0]["rules"][0]["expr"]
        return set(re.findall(r'or absent\(up\{namespace="lab",pod=~"r-(.+?)-\.\*"\}\)', away))

    always = {"scorer", "executor", "pair-builder"}
    assert missed() == always | {"generator"}
    assert missed("training.stopsGenerator=true") == always
    assert missed("serve.enabled=true") == always | {"generator", "serve"}


def test_what_fails_for_others_is_not_hidden_by_what_rounds_do() -> None:
    of_items = [rule["expr"] for rule in rules() if "roundsmith_items" in rule["expr"]]
    assert len(of_items) == 2
    for expr in of_items:
        sums = re.findall(r"sum by \(service, component\) \(label_replace\(", expr)
        assert len(sums) == expr.count("sum") > 0
        [expression] = set(re.findall(r'"component", "\$1", "pod", "([^"]*)"', expr))
        for component in ("generator", "serve"):
            for pod in (f"r-{component}-6d4f7-x7k2p", f"r-{component}-predictor-6d4f7-x7k2p"):
                found = re.fullmatch(expression, pod)
                assert found
                assert found[1] == component


def test_alerts_ask_for_metrics_that_the_documents_name_and_for_this_namespace() -> None:
    told = "".join((ROOT / "docs" / name).read_text() for name in ("operating.md", "executor.md"))
    table = re.search(r"^\| `roundsmith_executor_\.\.\.`.*?\n\n", told, re.MULTILINE | re.DOTALL)
    assert table is not None
    own = re.findall(r"`([a-z_]+)`", table[0])
    known = {
        *re.findall(r"`(roundsmith_[a-z_]+)`", told),
        *(f"roundsmith_executor_{n}" for n in own),
    }
    for rule in rules():
        for metric, labels in re.findall(r"(\w+)\{([^}]*)\}", rule["expr"]):
            assert metric in known | {"up"}, metric
            assert 'namespace="lab"' in labels
