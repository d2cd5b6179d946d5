"""What is told of pods that wait or were ended."""

from typing import Any

import pytest

from roundsmith.platform.pod_troubles import scheduled, troubles, waits_silently


def pod(**status: Any) -> dict[str, Any]:
    """A pod with this status."""
    return {"metadata": {"name": "p"}, "status": status}


def container(**state: Any) -> dict[str, Any]:
    """A container's status."""
    return {"containerStatuses": [{"name": "pytorch", **state}]}


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (pod(), []),
        (pod(phase="Running", **container(state={"running": {}})), []),
        (pod(**container(state={"waiting": {"reason": "ContainerCreating"}})), []),
        (
            pod(**container(state={"waiting": {"reason": "ErrImagePull", "message": "none"}})),
            ["p: ErrImagePull: none"],
        ),
        (
            pod(
                conditions=[
                    {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: memory"}
                ]
            ),
            ["p: not scheduled: 0/1 nodes: memory"],
        ),
        (
            pod(
                **container(
                    state={"running": {}},
                    lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                    restartCount=2,
                )
            ),
            [
                "p: OOMKilled, exit code 137, restarted 2 times: it has no limit, its node had no "
                "memory left"
            ],
        ),
        (pod(**container(state={"terminated": {"exitCode": 0}})), []),
        (
            pod(
                initContainerStatuses=[
                    {
                        "name": "init-pytorch",
                        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "alpine"}},
                    }
                ],
                **container(state={"waiting": {"reason": "PodInitializing"}}),
            ),
            ["p: init container init-pytorch: ImagePullBackOff: alpine"],
        ),
        (pod(reason="Evicted", message="disk"), ["p: Evicted: disk"]),
    ],
)
def test_pods_tell_why_they_do_not_run(seen: dict[str, Any], told: list[str]) -> None:
    assert [str(trouble) for trouble in troubles([seen])] == told


def test_a_pod_that_initializes_has_begun_and_what_was_warned_before_it_had_a_node_is_over() -> (
    None
):
    at = "2026-01-01T00:00:00Z"
    has_a_node = {"type": "PodScheduled", "status": "True", "lastTransitionTime": at}
    waits = pod(phase="Pending", conditions=[has_a_node])
    assert waits_silently(waits)
    assert scheduled(waits) == at
    init = {"name": "init-pytorch", "state": {"running": {}}}
    assert not waits_silently(pod(phase="Pending", initContainerStatuses=[init]))


@pytest.mark.parametrize(
    ("component", "name", "value"),
    [
        ("training", "node", "raise training.resources.limits.memory in the chart's values"),
        ("pair-builder", "pair-builder", "raise pairBuilder.resources.limits.memory"),
        ("sandbox", "sandbox", "raise sandbox.programs.resources.limits.memory"),
        ("sandbox", "worker", "raise sandbox.worker.resources.limits.memory"),
        ("", "other", "raise it"),
    ],
)
def test_what_was_killed_for_want_of_memory_tells_its_limit_and_the_value_that_sets_it(
    component: str, name: str, value: str
) -> None:
    ended = {"terminated": {"exitCode": 1, "reason": "OOMKilled"}}
    killed = pod(containerStatuses=[{"name": name, "state": ended}])
    killed["spec"] = {"containers": [{"name": name, "resources": {"limits": {"memory": "4Gi"}}}]}
    killed["metadata"]["labels"] = {"app.kubernetes.io/component": component} if component else {}
    (told,) = troubles([killed])
    said = "p: OOMKilled, exit code 1, restarted 0 times: its memory is limited to 4Gi: "
    assert str(told).startswith(said + value)
