"""The gate promotes on evidence only, and refuses what is incomplete."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.errors import ConfigError, IncompleteEvaluation
from roundsmith.statistics import Evaluation, GateDecision, Kept, TaskCount, decide

EIGHT = st.integers(0, 8)


def evaluation(correct: list[int], num_samples: int = 1) -> Evaluation:
    counts = tuple(TaskCount(f"t{i}", num_samples, c) for i, c in enumerate(correct))
    return Evaluation(counts, num_samples)


def gate(before: list[int], after: list[int], **options: int) -> GateDecision:
    rounds = options.pop("planned_rounds", 1)
    return decide(
        evaluation(before),
        evaluation(after),
        alpha=0.05,
        planned_rounds=rounds,
        seed=0,
        contaminated=("a",) * options.pop("contaminated", 0),
    )


def test_a_clear_gain_is_promoted_with_its_numbers() -> None:
    decision = gate([0] * 20, [1] * 10 + [0] * 10)
    assert decision.promoted
    assert decision.difference == 0.5
    assert decision.p_value == pytest.approx(2 / 1024)
    assert decision.reasons == ("pass@1 rose by 50.0 points on 20 tasks, p = 0.002, at most 0.05",)
    assert decision.ci95.low > 0


def test_one_alpha_is_shared_by_the_planned_rounds() -> None:
    before, after = [0] * 20, [1] * 7 + [0] * 13  # p = 2 / 128 = 0.0156
    assert gate(before, after, planned_rounds=3).promoted
    refused = gate(before, after, planned_rounds=4)
    assert not refused.promoted
    assert refused.threshold == 0.0125
    assert "chance explains" in refused.reasons[0]


def test_a_loss_is_not_promoted_however_sure() -> None:
    decision = gate([1] * 20, [0] * 20)
    assert not decision.promoted
    assert decision.reasons == ("no gain: the difference is -100.0 points",)


def test_contamination_stops_a_gain() -> None:
    decision = gate([0] * 20, [1] * 20, contaminated=3)
    assert not decision.promoted
    assert decision.reasons == (
        "3 training rows repeat benchmark tasks: leave out the tasks they were made from, a",
    )


def test_a_missing_task_is_refused() -> None:
    with pytest.raises(IncompleteEvaluation, match=r"\['t2'\]"):
        gate([0, 0, 0], [1, 1])


def test_a_task_twice_is_refused() -> None:
    twice = Evaluation((TaskCount("a", 1, 1), TaskCount("a", 1, 1)), 1)
    with pytest.raises(IncompleteEvaluation, match="once"):
        decide(twice, twice, alpha=0.05, planned_rounds=1, seed=0)


def test_a_sample_without_a_verdict_is_refused() -> None:
    whole = evaluation([2, 1], num_samples=4)
    short = replace(whole, counts=(whole.counts[0], TaskCount("t1", 3, 1)))
    with pytest.raises(IncompleteEvaluation, match="task t1: saw 3 samples"):
        decide(whole, short, alpha=0.05, planned_rounds=1, seed=0)


def test_no_tasks_are_refused() -> None:
    with pytest.raises(IncompleteEvaluation, match="no tasks"):
        gate([], [])


def test_an_alpha_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="alpha"):
        decide(evaluation([0]), evaluation([1]), alpha=1.5, planned_rounds=1, seed=0)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(EIGHT, EIGHT), min_size=1, max_size=25), st.integers(0, 99))
def test_the_order_of_the_tasks_does_not_matter(pairs: list[tuple[int, int]], seed: int) -> None:
    before, after = (evaluation([pair[i] for pair in pairs], num_samples=8) for i in (0, 1))
    counts = list(after.counts)
    Random(seed).shuffle(counts)
    shuffled = replace(after, counts=tuple(counts))
    decision = decide(before, after, alpha=0.05, planned_rounds=1, seed=seed)
    assert decision == decide(before, shuffled, alpha=0.05, planned_rounds=1, seed=seed)
    assert not decision.promoted or decision.difference > 0


def decided(before: list[int], after: list[int], **rest: object) -> GateDecision:
    found = evaluation(before), evaluation(after)
    return decide(*found, alpha=0.05, planned_rounds=1, seed=0, **rest)  # type: ignore[arg-type]  # by name


def kept(before: list[int], after: list[int], margin: float) -> Kept:
    return Kept("humaneval", evaluation(before), evaluation(after), 1, margin)


def test_what_must_not_get_worse_is_asked_by_the_low_end_of_the_interval() -> None:
    better = ([0] * 60, [1] * 40 + [0] * 20)
    held = kept([1] * 100 + [0] * 100, [1] * 100 + [0] * 100, 0.02)
    assert decided(*better, kept=[held]).promoted
    lost = kept([1] * 100 + [0] * 100, [1] * 90 + [0] * 110, 0.02)
    refused = decided(*better, kept=[lost])
    assert not refused.promoted
    (reason,) = refused.reasons
    assert reason.startswith("humaneval pass@1 may be worse by more than 2 points: the differ")
    assert "-5.0" in reason
    assert decided(*better, kept=[replace(lost, margin=0.2)]).promoted


def test_too_few_tasks_do_not_show_that_nothing_got_worse() -> None:
    few = kept([1, 1, 0, 0], [1, 1, 0, 0], 0.02)
    assert not decided([0] * 60, [1] * 40 + [0] * 20, kept=[few]).promoted


def test_one_more_of_ten_tasks_does_not_show_that_nothing_got_worse() -> None:
    few = kept([1] * 5 + [0] * 5, [1] * 5 + [0] * 4 + [1], 0.02)
    refused = decided([0] * 60, [1] * 40 + [0] * 20, kept=[few])
    assert not refused.promoted
    assert "the difference is +10.0, its interval begins at -" in refused.reasons[0]


def test_a_round_over_its_budget_is_not_promoted() -> None:
    refused = decided([0] * 60, [1] * 40 + [0] * 20, over_budget="the budget is spent")
    assert refused.reasons == ("the budget is spent",)
    assert not refused.promoted
