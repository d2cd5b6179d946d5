"""How many sandbox pods there are to be."""

import pytest

from roundsmith.executor.scaling import Bounds, Decision, SandboxPod, decide

BOUNDS = Bounds(least=1, most=4, slots=4, idle_s=60, recycle_runs=1000)


def pods(*names: str, **changes: SandboxPod) -> tuple[SandboxPod, ...]:
    """Ready, quiet pods, but for those given by name."""
    return tuple(changes.get(name, SandboxPod(name, f"10.0.0.{name}", True)) for name in names)


@pytest.mark.parametrize(
    ("demand", "replicas"), [(0, 1), (4, 1), (5, 2), (8, 2), (9, 3), (16, 4), (1000, 4)]
)
def test_pods_come_at_once_with_the_queue_up_to_the_most(demand: int, replicas: int) -> None:
    assert decide(pods("a"), 1, demand, 0, BOUNDS) == Decision(replicas)


def test_a_pod_goes_only_after_the_quiet_time_one_at_a_time() -> None:
    three = pods("a", "b", "c")
    assert decide(three, 3, 0, 59, BOUNDS) == Decision(3)
    assert decide(three, 3, 0, 61, BOUNDS) == Decision(2, (), ("a",), "a")
    assert decide(pods("a"), 1, 0, 10**6, BOUNDS) == Decision(1)


def test_the_pod_that_does_least_goes_and_not_before_it_does_nothing() -> None:
    busy = SandboxPod("a", "10.0.0.1", True, num_busy=2)
    less = SandboxPod("b", "10.0.0.2", True, num_busy=1)
    assert decide((busy, less), 2, 3, 61, BOUNDS) == Decision(2, (), ("b",))
    quiet = SandboxPod("b", "10.0.0.2", True)
    assert decide((busy, quiet), 2, 3, 61, BOUNDS) == Decision(1, (), ("b",), "b")
    late = SandboxPod("c", "", False)
    assert decide((busy, quiet, late), 3, 3, 61, BOUNDS).first_to_go == "c"


def test_a_pod_in_which_a_canary_failed_is_deleted_at_once_and_replaced() -> None:
    bad = SandboxPod("a", "10.0.0.1", True, num_busy=3, condemned=True)
    assert decide((bad, *pods("b")), 2, 8, 0, BOUNDS) == Decision(2, ("a",))


def test_a_worn_pod_is_replaced_before_it_goes() -> None:
    worn = SandboxPod("a", "10.0.0.1", True, num_runs=1000, num_busy=1)
    assert decide((worn,), 1, 2, 0, BOUNDS) == Decision(2, (), ("a",))
    coming = SandboxPod("b", "", False)
    assert decide((worn, coming), 2, 2, 0, BOUNDS) == Decision(2, (), ("a",))
    fresh = SandboxPod("b", "10.0.0.2", True)
    quiet = SandboxPod("a", "10.0.0.1", True, num_runs=1000)
    assert decide((worn, fresh), 2, 2, 0, BOUNDS).first_to_go == ""
    assert decide((quiet, fresh), 2, 2, 61, BOUNDS) == Decision(1, (), ("a",), "a")
