"""What a run asks of its rounds beside a gain: what must not get worse, what it may take, and when
it ends before its last planned round.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import Field

from roundsmith.config import Settings
from roundsmith.steps.spent import PriceConfig, Spent


class KeepConfig(Settings):
    """A measurement that a promoted checkpoint must not be worse in: the lower end of the 95 %
    interval of after - before may not be below -margin.
    """

    tasks: str = ""
    """A file of tasks, all of whose splits are taken; empty is the run's own `gate`."""
    k: int = Field(1, gt=0)
    """Of pass@k; one of `evaluation.ks`."""
    margin: float = Field(0.02, gt=0, lt=1)
    """A share: 0.02 is two points."""


class BudgetConfig(Settings):
    """What the run may take; none is no limit. Tokens and executions are the same for the same
    settings and are asked for by the gate too; hours and price are not, and only end the run.
    """

    tokens: int | None = Field(None, gt=0)
    """Prompt, sampled, scored and trained tokens together. A round's share is this over `rounds`,
    and a checkpoint of a round that took more is not promoted."""
    executions: int | None = Field(None, gt=0)
    hours: float | None = Field(None, gt=0)
    price: float | None = Field(None, gt=0)
    """In the currency of `price`."""


class StopConfig(Settings):
    """When a run of several rounds ends early; the round that ends it is its last one, so that
    `final` is looked at then.
    """

    rounds_without_gain: int | None = Field(None, gt=0)
    """So many rounds one after another whose checkpoint was not promoted."""
    least_diversity: float | None = Field(None, gt=0, le=1)
    """Distinct programs among the selected ones, as a share of that share in the first round."""


@dataclass(frozen=True, slots=True)
class RoundSeen:
    """What the rules look at: whether the gate promoted, the share of distinct programs among the
    selected ones (None for none), and what the run has taken up to here.
    """

    promoted: bool
    diversity: float | None
    spent: Spent


def why_stop(
    rounds: Sequence[RoundSeen], stop: StopConfig, budget: BudgetConfig, prices: PriceConfig
) -> str | None:
    """Why a run ends after these rounds, in words; None when it goes on."""
    without = stop.rounds_without_gain
    if without and len(rounds) >= without and not any(r.promoted for r in rounds[-without:]):
        return f"no gain in {without} rounds"
    first, last = rounds[0].diversity, rounds[-1].diversity
    if stop.least_diversity and first and last is not None and last < stop.least_diversity * first:
        return (
            f"{100 * last:.0f} % of the selected programs are distinct, in the first round it were "
            f"{100 * first:.0f} %"
        )
    for name, seen, most in _limits(rounds[-1].spent, budget, prices):
        if seen >= most:
            return f"the budget is spent: {seen:.6g} {name} of {most:g}"
    return None


def over_budget(spent: Spent, budget: BudgetConfig) -> str | None:
    """Which limit of tokens or executions was passed, in words; None for none, as for exactly it.
    The others are not the same for the same settings.
    """
    same = budget.model_copy(update={"hours": None, "price": None})
    for name, seen, most in _limits(spent, same, PriceConfig()):
        if seen > most:
            return f"more than the budget: {seen:.6g} {name} of {most:g}"
    return None


def _limits(
    spent: Spent, budget: BudgetConfig, prices: PriceConfig
) -> Iterator[tuple[str, float, float]]:
    """The name, what was taken and what may be taken, of every limit that is set."""
    price = spent.price(prices)
    limits = (
        ("tokens", tokens_of(spent), budget.tokens),
        ("executions", spent.executions, budget.executions),
        ("hours", spent.seconds / 3600, budget.hours),
        ("of the price", 0.0 if price is None else price, budget.price),
    )
    return ((name, seen, most) for name, seen, most in limits if most is not None)


def tokens_of(spent: Spent) -> float:
    """All tokens together."""
    return spent.prompt_tokens + spent.sampled_tokens + spent.scored_tokens + spent.trained_tokens
