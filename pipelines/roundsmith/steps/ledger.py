"""The cost ledger of a round: what every step took, what a row and a point cost."""

import platform as machine
from collections.abc import Mapping

from roundsmith.config import cpu_count
from roundsmith.report.summary import Cost, Result, StepCost, UnitCost
from roundsmith.steps.context import Context
from roundsmith.steps.own_work import kept_by, own_work
from roundsmith.steps.spent import PriceConfig, Spent, spent_on, total
from roundsmith.store import Manifest

ROW_STEPS = ("groups", "scored", "rows")
"""What selected rows rest on, by the names of the round."""
TOKENS = {
    "prompt": "prompt_tokens",
    "sampled": "sampled_tokens",
    "scored": "scored_tokens",
    "trained": "trained_tokens",
}


def cost_of(
    made: Mapping[str, Manifest], result: Result, prices: PriceConfig, ctx: Context
) -> Cost:
    """The ledger of a round from its manifests: of what it made itself. Loading tasks and model
    counts for the first round.
    """
    every = {**made, **kept_by(ctx, made["decision"])}
    own = own_work(every, ctx.round)
    spent = {name: spent_on(manifest) for name, manifest in own.items()}
    whole = total(spent.values())
    chosen = total(spent[name] for name in ROW_STEPS if name in spent)
    where = {"platform": machine.platform(), "python": machine.python_version()}
    return Cost(
        seconds={name: part.seconds for name, part in spent.items()},
        retries=sum(int(manifest.cost.get("retries", 0)) for manifest in own.values()),
        machine=where | {"cores": str(cpu_count())},
        price=whole.price(prices),
        steps={name: step_cost(part, prices) for name, part in spent.items()},
        per_selected_row=unit_cost(chosen, result.funnel["selected rows"], prices),
        per_point=unit_cost(whole, _points(result), prices),
        estimate=None if ctx.estimate is None else unit_cost(ctx.estimate, 1, prices),
    )


def step_cost(spent: Spent, prices: PriceConfig) -> StepCost:
    """One line of the ledger."""
    return StepCost(
        seconds=spent.seconds,
        cpu_s=spent.cpu_s,
        gpu_s=spent.gpu_s,
        tokens={name: int(getattr(spent, field)) for name, field in TOKENS.items()},
        executions=int(spent.executions),
        bytes=int(spent.bytes),
        price=spent.price(prices),
    )


def unit_cost(spent: Spent, number: float, prices: PriceConfig) -> UnitCost | None:
    """What one of `number` took; None for none."""
    if number <= 0:
        return None
    one = spent.times(1 / number)
    return UnitCost(round(one.seconds, 3), round(one.gpu_s, 3), one.price(prices))


def _points(result: Result) -> float:
    """Points of pass@1 that the gate's tasks gained, or 0 where pass@1 was not measured."""
    measured = result.pass_at_k.get("gate", {}).get("1")
    return 0.0 if measured is None else 100 * (measured.after - measured.before)
