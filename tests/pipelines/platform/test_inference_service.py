"""When an InferenceService is ready, by the status that KServe 0.20 writes."""

from typing import Any

import pytest

from roundsmith.platform.inference_service import answers, is_ready, why_not


def service(
    ready: str, *, seen: int = 3, moved: str = "UpToDate", stopped: str = "False"
) -> dict[str, Any]:
    """One with this status."""
    conditions = [
        {"type": "Ready", "status": ready, "reason": "Stopped", "message": "by annotation"},
        {"type": "Stopped", "status": stopped},
    ]
    status = {"observedGeneration": seen, "conditions": conditions}
    return {
        "metadata": {"generation": 1},
        "status": {**status, "modelStatus": {"transitionStatus": moved}},
    }


@pytest.mark.parametrize(
    ("told", "ready"),
    [
        (service("True"), True),
        (service("False"), False),
        (service("Unknown"), False),
        (service("True", stopped="True"), False),
        (service("True", moved="InProgress"), False),
        ({"metadata": {"generation": 1}}, False),
    ],
)
def test_a_service_is_ready_when_all_of_it_is(told: dict[str, Any], ready: bool) -> None:
    assert is_ready(told) is ready


def test_a_change_is_waited_for_until_the_controller_has_acted_on_it() -> None:
    before = service("True", seen=3)
    assert not is_ready(before, changed_since=before)
    assert not is_ready(service("True", seen=4, moved="InProgress"), changed_since=before)
    assert is_ready(service("True", seen=4), changed_since=before)


def test_a_pod_answers_when_it_is_ready_and_stays() -> None:
    conditions = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}]
    pod: dict[str, Any] = {"metadata": {}, "status": {"conditions": conditions}}
    assert answers(pod)
    assert not answers({**pod, "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert not answers({**pod, "status": {"conditions": conditions[:1]}})
    assert not answers({**pod, "status": {"phase": "Pending"}})


def test_what_is_not_ready_says_why() -> None:
    assert why_not(service("False")).startswith("Ready: Stopped by annotation")
    assert "has not looked" in why_not({"metadata": {"generation": 1}})
