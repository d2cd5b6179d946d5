"""A run as a Job: what it asks for, what a run may be called, and how it is taken to have ended."""

import json
from typing import Any

import pytest

from roundsmith.errors import ConfigError
from roundsmith.platform.cluster_config import ClusterTracing
from roundsmith.platform.control_job import (
    control_job,
    exit_code,
    finished,
    job_name,
    run_name,
)
from roundsmith.platform.manifests import SPEC_HASH
from tests.pipelines.platform.clusters import cluster

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "r-cluster", "uid": "u"}
OPTIONS = ("--recipe", "gift", "--limit", "8")


def job(*options: str) -> dict[str, Any]:
    """The Job of a run called `first`."""
    return control_job(cluster(), "r-first", "first", options or OPTIONS, OWNER)


def test_the_pod_runs_the_rounds_with_the_options_and_knows_its_job() -> None:
    made = job()
    spec = made["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["args"] == [
        *("run", "--cluster", "/etc/roundsmith/cluster.json", "--out", "/runs/first"),
        *OPTIONS,
    ]
    assert spec["restartPolicy"] == "Never"
    fields = {e["name"]: e["valueFrom"]["fieldRef"]["fieldPath"] for e in container["env"][1:]}
    assert fields == {
        "ROUNDSMITH_JOB_NAME": "metadata.labels['batch.kubernetes.io/job-name']",
        "ROUNDSMITH_JOB_UID": "metadata.labels['batch.kubernetes.io/controller-uid']",
    }
    assert container["env"][0] == {"name": "HOME", "value": "/tmp"}


def test_the_run_of_a_cluster_with_a_collector_is_traced_unless_the_options_name_another() -> None:
    traced = ClusterTracing(otlp_endpoint="http://c:4317")
    told = cluster().model_copy(update={"tracing": traced})
    own = ("--otlp-endpoint", "http://mine:1")
    made = control_job(told, "r-first", "first", own, OWNER)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["args"][5:] == ["--otlp-endpoint", "http://c:4317", *own], (
        "the last one counts"
    )


def test_a_job_goes_with_its_release_and_tells_its_run() -> None:
    metadata = job()["metadata"]
    assert metadata["ownerReferences"] == [OWNER]
    assert (metadata["name"], metadata["namespace"]) == ("r-first", "ml")
    assert metadata["labels"]["roundsmith.dev/run"] == "first"
    assert json.loads(metadata["annotations"]["roundsmith.dev/options"]) == list(OPTIONS)


def test_an_exit_code_of_the_run_is_final_and_a_lost_pod_is_replaced() -> None:
    ignored, failed = job()["spec"]["podFailurePolicy"]["rules"]
    assert ignored["action"] == "Ignore"
    assert ignored["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert (failed["action"], failed["onExitCodes"]["values"]) == ("FailJob", [1, 2])
    assert job()["spec"]["backoffLimit"] > 0, "killed: neither 1 nor 2"


def test_other_options_are_another_job_and_none_is_changed_by_making_it() -> None:
    hashes = {job(*options)["metadata"]["annotations"][SPEC_HASH] for options in (OPTIONS, ("-x",))}
    assert len(hashes) == 2
    config = cluster()
    before = config.model_dump_json()
    control_job(config, "r-first", "first", OPTIONS, OWNER)
    assert config.model_dump_json() == before


def test_a_run_without_a_name_is_called_by_its_options() -> None:
    assert run_name(OPTIONS) == run_name(list(OPTIONS)) != run_name(OPTIONS[:2])
    assert job_name("r", run_name(OPTIONS)).startswith("r-run-")


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a" * 41])
def test_a_name_that_kubernetes_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="expected at most 40 letters"):
        job_name("r", name)


def test_a_name_too_long_with_its_release_is_refused() -> None:
    assert len(job_name("r" * 22, "a" * 40)) == 63
    with pytest.raises(ConfigError, match="63 with the release's"):
        job_name("r" * 23, "a" * 40)


@pytest.mark.parametrize(
    ("conditions", "good"),
    [
        ([], None),
        ([("FailureTarget", "True")], None),
        ([("Complete", "True")], True),
        ([("Failed", "True")], False),
        ([("Failed", "False")], None),
    ],
)
def test_a_job_has_ended_when_it_says_so(
    conditions: list[tuple[str, str]], good: bool | None
) -> None:
    listed = [{"type": kind, "status": status} for kind, status in conditions]
    assert finished({"status": {"conditions": listed}}) is good


def test_the_exit_code_is_that_of_the_runs_container() -> None:
    def status(name: str, **state: object) -> dict[str, Any]:
        return {"status": {"containerStatuses": [{"name": name, "state": state}]}}

    assert exit_code(status("control", terminated={"exitCode": 2})) == 2
    assert exit_code(status("control", running={})) is None
    assert exit_code(status("sidecar", terminated={"exitCode": 2})) is None
    assert exit_code({"status": {}}) is None


@pytest.mark.parametrize(
    ("name", "user"),
    [("doctor", "roundsmith doctor"), ("upload", "the chart's upload of the pipeline")],
)
def test_a_run_is_not_called_as_another_job_of_the_installation(name: str, user: str) -> None:
    with pytest.raises(ConfigError, match=f"that {user} does not use"):
        control_job(cluster(), f"r-{name}", name, OPTIONS, OWNER)
