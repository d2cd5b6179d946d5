"""Which tier is demanded where nobody says it, and what a refusal names."""

import pytest

from roundsmith.errors import IsolationFloor
from roundsmith.executor import probe
from roundsmith.executor.capabilities import IsolationCheck
from roundsmith.executor.settings import ExecutorSettings

HOLDS = (IsolationCheck("no_fork", "T1", True, ""), IsolationCheck("own_root", "T2", True, ""))


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({}, "T2"),
        ({"highest": "T1"}, "T1"),
        ({"floor": "T1"}, "T1"),
        ({"pool": "pods", "sandboxes": "a:1"}, "T1"),
        ({"pool": "pods", "sandboxes": "a:1", "floor": "T2"}, "T2"),
    ],
)
def test_the_floor_is_t2_for_local_processes_and_t1_for_pods(
    given: dict[str, str], least: str
) -> None:
    assert ExecutorSettings.model_validate(given).least == least


def test_a_refusal_names_what_is_missing_what_was_seen_and_what_to_do() -> None:
    seen = IsolationCheck("own_proc", "T2", False, "done: 16877; this kernel lacks namespaces")
    with pytest.raises(IsolationFloor) as refused:
        probe.require("T2", (*HOLDS, seen), "this machine")
    assert "isolation T1 holds on this machine, expected at least T2" in str(refused.value)
    assert "own_proc (done: 16877; this kernel lacks namespaces)" in str(refused.value)
    assert "lower --floor" in str(refused.value)
    assert "own_root" not in str(refused.value)
