"""A training's TrainJob: what it and its runtime ask for, and what its status is taken to mean."""

from typing import Any

import pytest

from roundsmith.platform.manifests import same_spec
from roundsmith.platform.training_job import Asked, State
from roundsmith.platform.trainjob import TRAINJOB
from tests.pipelines.platform.clusters import cluster

URI = "s3://bucket/prefix/training/abc/request.json"
OWNER = {"apiVersion": "batch/v1", "kind": "Job", "name": "r-first", "uid": "u"}


def objects(jobs: dict[str, Any] | None = None, **training: Any) -> list[dict[str, Any]]:
    """The runtime and the job of a training on the small cluster."""
    made = TRAINJOB.manifests(Asked(cluster(jobs, **training), URI, [OWNER]))
    assert [kind for kind, _ in made] == ["trainingruntimes", "trainjobs"]
    return [manifest for _, manifest in made]


def node(runtime: dict[str, Any]) -> dict[str, Any]:
    """The Job of the runtime's only replicated job."""
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert job["name"] == "node"
    step = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    assert job["template"]["metadata"]["labels"] == step
    spec: dict[str, Any] = job["template"]["spec"]
    return spec


def test_the_job_runs_the_pods_of_its_own_runtime() -> None:
    runtime, job = objects(replicas=3, processes=8)
    assert runtime["metadata"]["name"] == job["metadata"]["name"]
    assert job["spec"] == {
        "runtimeRef": {
            "apiGroup": "trainer.kubeflow.org",
            "kind": "TrainingRuntime",
            "name": runtime["metadata"]["name"],
        },
        "trainer": {"numNodes": 3, "numProcPerNode": 8},
        "suspend": False,
    }
    assert runtime["spec"]["mlPolicy"] == {"numNodes": 3, "torch": {}}
    assert [made["metadata"]["ownerReferences"] for made in (runtime, job)] == [[OWNER]] * 2


def test_pods_of_a_training_that_samples_have_what_that_needs() -> None:
    on = cluster(replicas=3, processes=8, rollouts={"labels": {"rolls": "out"}})
    (_, runtime), _ = TRAINJOB.manifests(Asked(on, URI, rolls_out=True))
    assert node(runtime)["template"]["metadata"]["labels"]["rolls"] == "out"


def test_its_pods_train_what_is_asked_for() -> None:
    runtime, _ = objects(deadline_s=60, disturbances=2)
    spec = node(runtime)
    assert (spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (60, 5)
    (container,) = spec["template"]["spec"]["containers"]
    assert container == {
        "name": "node",
        "image": "roundsmith:1",
        "env": [{"name": "HOME", "value": "/tmp"}],
        "command": ["python3", "-m", "roundsmith.training.stored"],
        "args": [URI],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    assert spec["template"]["spec"]["restartPolicy"] == "OnFailure"
    assert spec["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"


def test_a_queue_holds_the_job_and_not_its_runtime() -> None:
    runtime, job = objects({"queue": "gpus", "priority_class": "low"})
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert "kueue.x-k8s.io/queue-name" not in runtime["metadata"]["labels"]
    assert node(runtime)["template"]["spec"]["priorityClassName"] == "low"


def test_other_pods_are_another_job() -> None:
    assert same_spec(objects()[1], objects()[1])
    assert not same_spec(objects()[1], objects(threads=2, template=_other())[1])


def _other() -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "pytorch", "image": "roundsmith:2"}]}}


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({}, (State.WAITING, "")),
        ({"conditions": [("Suspended", "True", "held")]}, (State.QUEUED, "held")),
        (
            {"conditions": [("Suspended", "False", "")], "jobsStatus": [{"active": 1}]},
            (State.RUNNING, ""),
        ),
        ({"jobsStatus": [{"active": 0, "ready": 0}]}, (State.WAITING, "")),
        ({"conditions": [("Complete", "True", "done")]}, (State.SUCCEEDED, "done")),
        ({"conditions": [("Failed", "True", "past limit")]}, (State.FAILED, "past limit")),
    ],
)
def test_its_status_tells_how_far_it_is(status: dict[str, Any], found: tuple[State, str]) -> None:
    listed = [{"type": t, "status": s, "message": m} for t, s, m in status.get("conditions", ())]
    assert TRAINJOB.state({"status": {**status, "conditions": listed}}) == found
