"""The ledger's arithmetic."""

import pytest

from roundsmith.report.summary import UnitCost
from roundsmith.steps.ledger import step_cost, unit_cost
from roundsmith.steps.spent import PriceConfig, Spent, spent_on, total
from roundsmith.store import Manifest, ObjectRef

SOME = Spent(seconds=1800, cpu_s=3600, gpu_s=900, sampled_tokens=2_000_000, executions=500_000)


def test_every_price_counts_what_it_names() -> None:
    names = {
        "hour": 0.5,
        "cpu_hour": 1.0,
        "gpu_hour": 0.25,
        "million_sampled_tokens": 2.0,
        "million_executions": 0.5,
        "million_trained_tokens": 0.0,
    }
    for name, expected in names.items():
        assert SOME.price(PriceConfig(**{name: 1.0})) == pytest.approx(expected), name
    every = PriceConfig(**dict.fromkeys(names, 2.0))
    assert SOME.price(every) == pytest.approx(2 * sum(names.values()))


def test_without_a_price_nothing_is_free_but_unknown() -> None:
    assert SOME.price(PriceConfig()) is None


def test_spending_adds_up_and_scales() -> None:
    assert total([SOME, SOME, Spent()]) == SOME.times(2)
    assert (SOME + Spent(cpu_s=None)).cpu_s is None
    assert Spent(cpu_s=None).times(2).cpu_s is None


def test_a_unit_costs_its_share_and_nothing_costs_nothing() -> None:
    assert unit_cost(SOME, 9, PriceConfig(hour=9.0)) == UnitCost(200.0, 100.0, 0.5)
    assert unit_cost(SOME, 0, PriceConfig()) is None
    assert unit_cost(SOME, -1.5, PriceConfig()) is None


def test_a_manifest_is_read_as_what_it_took() -> None:
    manifest = Manifest(
        "sample",
        "0" * 64,
        (ObjectRef("1" * 64, "group", 3, 700),),
        stats={"sampled_tokens": 40, "executions": 9, "samples": 4},
        cost={"seconds": 2.5, "cpu_s": 1.5, "gpu_s": 0.0},
    )
    line = step_cost(spent_on(manifest), PriceConfig(million_executions=1e6))
    assert (line.seconds, line.cpu_s, line.bytes, line.executions) == (2.5, 1.5, 700, 9)
    assert line.tokens == {"prompt": 0, "sampled": 40, "scored": 0, "trained": 0}
    assert line.price == 9.0
