"""One release for several namespaces that play rounds: what each has of its own, what all share,
and what no two may have in common.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types

from tests.charts.rendering import CHART, STORED, Object, helm, objects, one, template

TWO = (
    *("storage.url=s3://bucket/prefix", "storage.existingSecret=keys"),
    *("profiles[0].namespace=ann", "profiles[0].training.job=trainjob"),
    *("profiles[1].namespace=ben", "profiles[1].storage.url=s3://ben/rounds"),
    "profiles[1].storage.existingSecret=bens",
)
NAMED = ("profiles[0].namespace=ann", "profiles[1].namespace=ben")
TLS = ("tls.enabled=true", "tls.certManager.issuer=x")
TOLD = ("metrics.enabled=true", "metrics.podMonitor=true", "metrics.alerts=true")
REFUSED = {
    (*NAMED, "profiles[1].namespace=ann"): "expected each namespace once, saw ann twice",
    (*NAMED, "profiles[1].storage.url=s3://bucket/prefix/ann/"): "expected storage of its own",
    (*NAMED, "profiles[1].storage.url=s3://bucket/prefix"): "expected storage of its own for each",
    (*NAMED, "storage.accessKeyId=all", "storage.secretAccessKey=x"): (
        "expected keys of its own for ann, saw one pair for all"
    ),
    (
        *NAMED,
        *("profiles[0].storage.existingSecret=anns", "profiles[0].storage.accessKeyId=id"),
    ): "the storage of profile ann: expected existingSecret or accessKeyId, saw both",
    (*NAMED, "control.subjects={kubeflow/pipeline-runner}"): (
        "expected accounts of each profile's own namespace"
    ),
    (*NAMED, *TLS): "expected ClusterIssuer with profiles",
    ("profiles[0].storage.url=s3://b/p",): "namespace is required",
    (*NAMED, "profiles[0].executor.slots=3"): "Additional property executor is not allowed",
    (*NAMED, "profiles[0].generator.nosuch=3"): "Additional property nosuch is not allowed",
}


@pytest.mark.parametrize("values", REFUSED)
def test_what_would_mix_two_users_is_refused(values: tuple[str, ...]) -> None:
    done = template(*STORED, *values)
    assert done.returncode != 0
    assert REFUSED[values] in done.stderr


def test_the_namespace_of_the_release_alone_is_the_same_as_naming_it() -> None:
    keys = ("storage.accessKeyId=id", "storage.secretAccessKey=x", "environment.hostPath=/e")
    named = [f"profiles[0].{value}" for value in ("namespace=lab", *STORED, *keys[:2])]
    assert _by_name(objects(*STORED, *keys, *named)) == _by_name(objects(*STORED, *keys))


def test_each_profile_has_a_generator_a_scorer_accounts_and_storage_of_its_own() -> None:
    found = objects(*TWO)
    for namespace, url, secret in (
        ("ann", "s3://bucket/prefix/ann", "keys"),
        ("ben", "s3://ben/rounds", "bens"),
    ):
        here = [o for o in found if o["metadata"].get("namespace") == namespace]
        told = json.loads(one(here, "ConfigMap", "r-cluster")["data"]["cluster.json"])
        assert (told["namespace"], told["storage"]) == (namespace, url)
        where = {name: uri for name, uri in told["endpoints"].items() if isinstance(uri, str)}
        assert {name for name, uri in where.items() if f".{namespace}.svc" in uri} == {
            *("generator", "generator_admin", "scorer", "scorer_admin"),
        }
        assert {name for name, uri in where.items() if ".lab.svc" in uri} == {
            *("executor", "pair_builder"),
        }
        (runtime,) = one(here, "ServingRuntime", "r-generator")["spec"]["containers"]
        assert f"--storage-root={url}/checkpoints" in runtime["args"]
        used = [e["valueFrom"]["secretKeyRef"]["name"] for e in runtime["env"] if "valueFrom" in e]
        assert set(used) == {secret}
        (binding,) = (o for o in here if o["kind"] == "RoleBinding")
        assert {s["namespace"] for s in binding["subjects"]} == {namespace}
        assert secret in one(here, "ConfigMap", "r-pipeline")["data"]["pipeline.yaml"]
    kinds = [
        json.loads(o["data"]["cluster.json"])["training"]["job"] for o in _all(found, "r-cluster")
    ]
    assert kinds == ["trainjob", "auto"]


def test_what_all_share_is_in_the_namespace_of_the_release_once() -> None:
    found = objects(*TWO)
    assert {o["metadata"]["name"] for o in found if o["kind"] == "Deployment"} == {
        *("r-executor", "r-pair-builder", "r-sandbox", "r-scorer"),
    }
    for name in ("r-executor", "r-pair-builder"):
        assert one(found, "Deployment", name)["metadata"]["namespace"] == "lab"
    assert {o["metadata"]["namespace"] for o in found if o["metadata"]["name"] == "r-scorer"} == {
        *("ann", "ben"),
    }
    assert not [o for o in _in(found, "lab") if o["kind"] in ("Role", "InferenceService", "Secret")]


def test_rounds_of_profiles_reach_what_all_share_and_no_other_profile() -> None:
    found = objects(*TWO, "callers.namespaces={team}")
    (shared,) = one(found, "NetworkPolicy", "r-profiles")["spec"]["ingress"]
    names = [p["namespaceSelector"]["matchLabels"] for p in shared["from"]]
    assert [n["kubernetes.io/metadata.name"] for n in names] == ["ann", "ann", "ben", "ben"]
    assert all("podSelector" in peer for peer in shared["from"])
    for namespace in ("ann", "ben"):
        own = [p for p in _in(found, namespace) if p["kind"] == "NetworkPolicy"]
        (rule,) = one(own, "NetworkPolicy", "r-services")["spec"]["ingress"]
        assert [set(peer) for peer in rule["from"]] == [{"podSelector"}] * 2
        reached = one(own, "NetworkPolicy", "r-rounds")["spec"]["egress"]
        away = [peer for e in reached for peer in e["to"] if "namespaceSelector" in peer]
        assert [p["namespaceSelector"]["matchLabels"] for p in away] == [
            {"kubernetes.io/metadata.name": "lab"}
        ]
        assert all(p["spec"]["podSelector"] for p in own), "nothing else of the namespace is denied"


def test_rounds_of_each_profile_show_a_name_of_their_own() -> None:
    found = objects(*TWO, *TLS, "tls.certManager.kind=ClusterIssuer")
    for namespace in ("ann", "ben"):
        here = _in(found, namespace)
        subject = f"r-control.{namespace}"
        assert one(here, "Certificate", "r-client-tls")["spec"]["dnsNames"] == [subject]
        (runtime,) = one(here, "ServingRuntime", "r-generator")["spec"]["containers"]
        assert f"--admin-subject={subject}" in runtime["args"]
    shared = one(_in(found, "lab"), "Certificate", "r-server-tls")["spec"]["dnsNames"]
    assert "r-executor.lab.svc" in shared


@pytest.mark.parametrize(
    ("namespace", "names"),
    [("lab", {"executor", "pair-builder"}), ("ann", {"generator", "scorer"})],
)
def test_the_services_of_every_namespace_are_watched(namespace: str, names: set[str]) -> None:
    made = one(_in(objects(*TWO, *TOLD), namespace), "PrometheusRule", "r-alerts")
    away = made["spec"]["groups"][0]["rules"][0]["expr"]
    pattern = rf'absent\(up\{{namespace="{namespace}",pod=~"r-(.+?)-\.\*"\}}\)'
    assert set(re.findall(pattern, away)) == names


def test_a_profile_may_have_a_model_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("profiles: [{namespace: ann, models: {model: /models/anns}}, {namespace: ben}]")
    done = helm("template", "r", str(CHART), "--values", str(file), "--set", STORED[0])
    assert done.returncode == 0, done.stderr
    made = [o for o in yaml.safe_load_all(done.stdout) if o]
    models = [
        next(word for word in o["spec"]["containers"][0]["args"] if word.startswith("--model="))
        for o in made
        if o["kind"] == "ServingRuntime"
    ]
    assert models == ["--model=/models/anns", "--model=lab"]


def _in(found: list[Object], namespace: str) -> list[Object]:
    return [o for o in found if o["metadata"].get("namespace") == namespace]


def _all(found: list[Object], name: str) -> Iterator[Object]:
    return (o for o in found if o["kind"] == "ConfigMap" and o["metadata"]["name"] == name)


def _by_name(found: list[Object]) -> dict[tuple[str, str], Object]:
    return {(o["kind"], o["metadata"]["name"]): o for o in found}


def test_the_keys_that_a_profile_names_count_instead_of_those_of_all() -> None:
    mine = ("profiles[0].storage.existingSecret=anns",)
    theirs = ("profiles[1].storage.accessKeyId=id", "profiles[1].storage.secretAccessKey=x")
    for of_all in (
        ("storage.existingSecret=keys",),
        ("storage.accessKeyId=all", "storage.secretAccessKey=y"),
    ):
        found = objects(*STORED, *NAMED, *of_all, *mine, *theirs)
        (secret,) = (o for o in found if o["kind"] == "Secret")
        assert secret["metadata"]["namespace"] == "ben"
        assert secret["stringData"] == {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "x"}
        for namespace, used in (("ann", "anns"), ("ben", "r-storage")):
            (runtime,) = one(_in(found, namespace), "ServingRuntime", "r-generator")["spec"][
                "containers"
            ]
            named = {
                e["valueFrom"]["secretKeyRef"]["name"] for e in runtime["env"] if "valueFrom" in e
            }
            assert named == {used}
