"""A round is charged with what it made itself, and with all of that."""

from dataclasses import replace
from pathlib import Path

import pytest

from roundsmith.hashing import content_hash
from roundsmith.steps.context import Context
from roundsmith.steps.ledger import cost_of
from roundsmith.steps.own_work import kept_spent, over_share
from roundsmith.steps.spent import PriceConfig
from roundsmith.store import Manifest
from tests.pipelines.report.rounds import RESULT as EMPTY
from tests.pipelines.steps.contexts import context

RESULT = replace(EMPTY, funnel={"selected rows": 2})
STEPS = {
    "tasks": "tasks",
    "model": "train",
    "groups": "sample",
    "scored": "score",
    "rows": "select",
    "checkpoint": "train",
    "gate_before": "evaluate",
    "gate_after": "evaluate",
    "writer": "train",
}
SECOND = {"groups", "scored", "rows", "checkpoint", "gate_after", "decision", "keep_1_after"}
"""What a second round makes itself."""


def work(step: str, name: str, *parents: Manifest) -> Manifest:
    """A piece of work that took an hour and ten tokens."""
    hashes = tuple(parent.hash for parent in parents)
    key, stats = content_hash(name), {"sampled_tokens": 10}
    cost = {"seconds": 3600.0, "retries": 2}
    return Manifest(step, key, parents=hashes, stats=stats, cost=cost)


def round_of(ctx: Context) -> tuple[dict[str, Manifest], dict[str, Manifest]]:
    """All that a round names, and what its gate had evaluated of a task file to keep."""
    made = {name: work(step, name) for name, step in STEPS.items()}
    kept = {name: work("evaluate", name) for name in ("keep_1_before", "keep_1_after")}
    for manifest in kept.values():
        ctx.store.commit(manifest)
    judged = (made["gate_before"], made["gate_after"], made["rows"], made["tasks"])
    made["decision"] = work("decide", "decision", *judged, work("kept", "k"), *kept.values())
    return made, kept


@pytest.mark.parametrize("number", [1, 2])
def test_the_ledger_is_of_what_the_round_made_itself(tmp_path: Path, number: int) -> None:
    ctx = context(tmp_path, number)
    made, kept = round_of(ctx)
    cost = cost_of(made, RESULT, PriceConfig(hour=1.0), ctx)
    expected = SECOND if number == 2 else {*made, *kept}
    assert set(cost.steps) == set(cost.seconds) == expected
    assert cost.price == pytest.approx(len(expected))
    assert cost.retries == 2 * len(expected)


@pytest.mark.parametrize(("number", "tokens"), [(1, 12), (2, 7)])
def test_the_gate_charges_a_round_with_what_it_made_itself(
    tmp_path: Path, number: int, tokens: int
) -> None:
    ctx = context(tmp_path, number)
    made, kept = round_of(ctx)
    every = {**made, **kept}
    for most, told in ((10 * tokens - 1, True), (10 * tokens, False)):
        budget = ctx.config.budget.model_copy(update={"tokens": most})
        assert (over_share(every, number, ctx.config.rounds, budget) is not None) == told


def test_work_that_has_two_names_is_charged_once(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    made, _ = round_of(ctx)
    named_twice = {**made, "gate_after": made["gate_before"]}
    cost = cost_of(named_twice, RESULT, PriceConfig(hour=1.0), ctx)
    assert cost.price == pytest.approx(len(made) - 1 + 2)


def test_what_the_gate_had_evaluated_counts_for_the_runs_budget(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    made, kept = round_of(ctx)
    spent = kept_spent(ctx, made["decision"])
    assert set(spent) == {manifest.reference for manifest in kept.values()}
    assert sum(one.sampled_tokens for one in spent.values()) == 20
    assert kept_spent(ctx, work("decide", "plain", *list(made.values())[:4])) == {}
