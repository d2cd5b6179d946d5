"""When an InferenceService is ready, by the status that KServe 0.20 writes."""

from typing import Any

import pytest

from roundsmith.platform.inference_service import is_ready, why_not


def service(ready: str, *, seen: int = 2, moved: str = "UpToDate") -> dict[str, Any]:
    """One whose specification was changed once, with this status."""
    condition = {"type": "Ready", "status": ready, "reason": "Stopped", "message": "by annotation"}
    status = {"observedGeneration": seen, "conditions": [condition]}
    return {
        "metadata": {"generation": 2},
        "status": {**status, "modelStatus": {"transitionStatus": moved}},
    }


@pytest.mark.parametrize(
    ("told", "ready"),
    [
        (service("True"), True),
        (service("False"), False),
        (service("Unknown"), False),
        (service("True", seen=1), False),
        (service("True", moved="InProgress"), False),
        ({"metadata": {"generation": 1}}, False),
    ],
)
def test_a_service_is_ready_when_its_latest_change_is(told: dict[str, Any], ready: bool) -> None:
    assert is_ready(told) is ready


def test_what_is_not_ready_says_why() -> None:
    assert why_not(service("False")) == "Ready: Stopped by annotation"
    assert "has not looked" in why_not({"metadata": {"generation": 1}})
