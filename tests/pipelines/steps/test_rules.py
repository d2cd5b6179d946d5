"""When a run ends before its last planned round."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from roundsmith.steps.config import RunConfig
from roundsmith.steps.rules import (
    BudgetConfig,
    KeepConfig,
    RoundSeen,
    StopConfig,
    over_budget,
    why_stop,
)
from roundsmith.steps.seen import chosen_of, diversity
from roundsmith.steps.spent import PriceConfig, Spent
from roundsmith.store import EXAMPLES, PAIRS, Manifest, Store
from roundsmith.types import Example, Pair, Provenance

SPENT = Spent(seconds=7200, sampled_tokens=900, trained_tokens=100, executions=50)
PRICES = PriceConfig(hour=3.0)


def seen(promoted: bool = True, diversity: float | None = 0.8) -> RoundSeen:
    return RoundSeen(promoted, diversity, SPENT)


def why(rounds: list[RoundSeen], **stop: object) -> str | None:
    return why_stop(rounds, StopConfig.model_validate(stop), BudgetConfig(), PRICES)


def test_without_rules_a_run_goes_on() -> None:
    assert why([seen(promoted=False, diversity=0.01)] * 9) is None


def test_so_many_rounds_without_a_gain_end_a_run() -> None:
    lost, won = seen(promoted=False), seen()
    assert why([won, lost], rounds_without_gain=2) is None
    assert why([lost, won, lost], rounds_without_gain=2) is None
    assert why([won, lost, lost], rounds_without_gain=2) == "no gain in 2 rounds"


def test_falling_diversity_ends_a_run() -> None:
    rounds = [seen(diversity=0.8), seen(diversity=0.5)]
    assert why(rounds, least_diversity=0.5) is None
    told = why([*rounds, seen(diversity=0.3)], least_diversity=0.5)
    assert told == "30 % of the selected programs are distinct, in the first round it were 80 %"
    assert why([seen(), seen(diversity=None)], least_diversity=0.5) is None


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ({"tokens": 1000}, "1000 tokens of 1000"),
        ({"executions": 49}, "50 executions of 49"),
        ({"hours": 2.0}, "2 hours of 2"),
        ({"price": 5.0}, "6 of the price of 5"),
        ({"tokens": 1001, "executions": 51, "hours": 2.1, "price": 6.1}, None),
    ],
)
def test_a_spent_budget_ends_a_run(budget: dict[str, float], told: str | None) -> None:
    limits = BudgetConfig.model_validate(budget)
    found = why_stop([seen()], StopConfig(), limits, PRICES)
    assert found == (None if told is None else f"the budget is spent: {told}")


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ({"tokens": 999}, "more than the budget: 1000 tokens of 999"),
        ({"executions": 49}, "more than the budget: 50 executions of 49"),
        ({"tokens": 1000, "executions": 50}, None),
        ({"hours": 0.1, "price": 0.1}, None),
    ],
)
def test_the_gate_minds_what_is_above_a_budget_and_the_same_on_every_machine(
    budget: dict[str, float], told: str | None
) -> None:
    assert over_budget(SPENT, BudgetConfig.model_validate(budget)) == told


def test_programs_are_distinct_by_what_they_say() -> None:
    same = ["def f(x):\n    return x", "def f(x):\n    # why\n    return  x"]
    assert diversity(same) == 0.5
    assert diversity([*same, "def f(x):\n    return x + 1"]) == pytest.approx(2 / 3)
    assert diversity([]) is None


def test_what_a_round_teaches_by_pairs_counts_as_what_it_chose(tmp_path: Path) -> None:
    store, task = Store(str(tmp_path)), "t"
    own = Provenance(task, "dstc", 1, parents=("a",))
    pairs = [Pair(f"p{n}", "def f(x):", f"    return {n % 2}", "    pass", own) for n in range(4)]
    gold = Example("g", "def f(x):", "    return 9", Provenance(task, "dstc", 1))
    objects = (store.write_rows(EXAMPLES, [gold]), store.write_rows(PAIRS, pairs))
    rows = Manifest("select", "0" * 64, objects=objects)
    assert list(chosen_of(store, rows)) == ["    return 0", "    return 1"] * 2


def test_rules_that_can_not_be_asked_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"expected k among evaluation\.ks, saw"):
        RunConfig(recipe="gift", keep=(KeepConfig(k=8),))
    with pytest.raises(ValidationError, match="expected a table price to reckon by"):
        RunConfig(recipe="gift", budget=BudgetConfig(price=1.0))
