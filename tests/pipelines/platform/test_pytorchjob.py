"""A training's PyTorchJob: what it asks for, and what its status and pods are taken to mean."""

import re
from typing import Any

import pytest

from roundsmith.platform.manifests import SPEC_HASH, same_spec
from roundsmith.platform.pytorchjob import PYTORCHJOB
from roundsmith.platform.training_job import Asked, State
from tests.pipelines.platform.clusters import cluster

URI = "s3://bucket/prefix/training/abc/request.json"
OWNER = {"apiVersion": "batch/v1", "kind": "Job", "name": "r-first", "uid": "u"}


def job(jobs: dict[str, Any] | None = None, **training: Any) -> dict[str, Any]:
    """The manifest of a training on the small cluster."""
    ((kind, made),) = PYTORCHJOB.manifests(Asked(cluster(jobs, **training), URI, [OWNER]))
    assert kind == "pytorchjobs"
    return made


def test_the_job_of_two_pods_is_written_out() -> None:
    container = {
        "name": "pytorch",
        "image": "roundsmith:1",
        "env": [{"name": "HOME", "value": "/tmp"}],
        "command": ["python3", "-m", "roundsmith.training.stored"],
        "args": [URI],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    labels = {
        "app.kubernetes.io/name": "roundsmith",
        "app.kubernetes.io/component": "training",
        "app.kubernetes.io/managed-by": "Helm",
    }
    off = {"sidecar.istio.io/inject": "false"}
    pod = {"metadata": {"labels": labels | off}, "spec": {"containers": [container]}}
    made = job()
    assert made["metadata"].pop("annotations") == {
        SPEC_HASH: made_hash(made),
        "roundsmith.dev/training": URI,
    }
    assert made == {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {
            "name": Asked(cluster(), URI).name,
            "namespace": "ml",
            "labels": labels | {"app.kubernetes.io/managed-by": "roundsmith"},
            "ownerReferences": [OWNER],
        },
        "spec": {
            "nprocPerNode": "1",
            "runPolicy": {
                "backoffLimit": 11,
                "cleanPodPolicy": "Running",
                "ttlSecondsAfterFinished": 3600,
                "suspend": False,
            },
            "pytorchReplicaSpecs": {
                "Master": {"replicas": 1, "restartPolicy": "OnFailure", "template": pod},
                "Worker": {"replicas": 1, "restartPolicy": "OnFailure", "template": pod},
            },
        },
    }


def made_hash(made: dict[str, Any]) -> str:
    """The hash that the annotation must have."""
    from roundsmith.hashing import content_hash

    return content_hash(made["spec"])


def test_the_operators_rules_hold_for_any_number_of_pods() -> None:
    for replicas in (1, 2, 5):
        made = job(replicas=replicas)
        specs = made["spec"]["pytorchReplicaSpecs"]
        assert specs["Master"]["replicas"] == 1
        assert ("Worker" in specs) == (replicas > 1)
        assert sum(spec["replicas"] for spec in specs.values()) == replicas
        for spec in specs.values():
            named = [c["name"] for c in spec["template"]["spec"]["containers"]]
            assert named.count("pytorch") == 1
            assert spec["template"]["spec"]["containers"][0]["image"]
        name = made["metadata"]["name"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name), "a DNS-1035 label"
        assert len(f"{name}-worker-{replicas}") <= 63, "a Service of each pod is called so"
        assert isinstance(made["spec"]["nprocPerNode"], str)


ROLLOUTS = {
    "labels": {"rolls": "out"},
    "volumes": [{"name": "tls"}],
    "volume_mounts": [{"name": "tls", "mountPath": "/tls"}],
}


def test_pods_of_a_training_that_samples_have_what_that_needs() -> None:
    on = cluster(replicas=3, processes=8, rollouts=ROLLOUTS)
    ((_, made),) = PYTORCHJOB.manifests(Asked(on, URI, rolls_out=True))
    for replicas in made["spec"]["pytorchReplicaSpecs"].values():
        template = replicas["template"]
        assert template["metadata"]["labels"]["rolls"] == "out"
        assert template["spec"]["volumes"] == [{"name": "tls"}]
        (container,) = template["spec"]["containers"]
        assert container["volumeMounts"] == [{"name": "tls", "mountPath": "/tls"}]
    assert "rolls" not in str(job(replicas=3, rollouts=ROLLOUTS)), "no other training has it"


def test_a_deadline_and_processes_of_a_pod_are_asked_for_where_they_are_set() -> None:
    made = job(deadline_s=60, processes=8, disturbances=0, keep_s=5)
    assert made["spec"]["nprocPerNode"] == "8"
    policy = made["spec"]["runPolicy"]
    assert (policy["activeDeadlineSeconds"], policy["ttlSecondsAfterFinished"]) == (60, 5)
    assert policy["backoffLimit"] == 1, "0 would end the job at its first restart, and so does 1"


def test_queue_priority_and_sidecar_are_the_clusters() -> None:
    made = job({"queue": "gpus", "priority_class": "low", "sidecar": True})
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    for spec in made["spec"]["pytorchReplicaSpecs"].values():
        assert spec["template"]["spec"]["priorityClassName"] == "low"
        assert "sidecar.istio.io/inject" not in spec["template"]["metadata"]["labels"]


def test_a_name_is_of_one_training_in_one_storage() -> None:
    other = URI.replace("bucket", "other")
    assert job()["metadata"]["name"] == Asked(cluster(replicas=3), URI).name
    assert Asked(cluster(), URI).name != Asked(cluster(), other).name


def test_a_job_is_known_again_by_what_it_asked_for() -> None:
    with_defaults = job()
    with_defaults["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["dnsPolicy"] = "x"
    assert same_spec(with_defaults, job())
    assert not same_spec(job(replicas=3), job())
    assert not same_spec({"metadata": {}}, {"metadata": {}}), "one that somebody else made"


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([], (State.WAITING, "")),
        ([("Created", "True", "made")], (State.WAITING, "")),
        ([("Created", "True", ""), ("Running", "True", "runs")], (State.RUNNING, "runs")),
        ([("Running", "False", ""), ("Restarting", "True", "again")], (State.RESTARTING, "again")),
        ([("Running", "False", ""), ("Suspended", "True", "held")], (State.QUEUED, "held")),
        ([("Suspended", "False", ""), ("Running", "True", "")], (State.RUNNING, "")),
        ([("Running", "False", ""), ("Succeeded", "True", "done")], (State.SUCCEEDED, "done")),
        ([("Running", "True", ""), ("Failed", "True", "past limit")], (State.FAILED, "past limit")),
    ],
)
def test_conditions_tell_how_far_a_job_is(
    conditions: list[tuple[str, str, str]], found: tuple[State, str]
) -> None:
    listed = [{"type": t, "status": s, "message": m} for t, s, m in conditions]
    assert PYTORCHJOB.state({"status": {"conditions": listed}}) == found
