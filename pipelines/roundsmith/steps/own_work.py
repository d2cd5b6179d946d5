"""Of all the work that a round names, what it made itself: the rest an earlier round has paid."""

from collections.abc import Iterable, Mapping

from roundsmith.steps.context import Context
from roundsmith.steps.rules import BudgetConfig, over_budget
from roundsmith.steps.spent import Spent, spent_on, total
from roundsmith.store import Manifest

FOUND = frozenset({"tasks", "model", "writer", "gate_before"})
"""What every round after the first finds, by the names of the round: `model` is what an earlier one
trained or loaded, and that one has evaluated it."""
KEEP = "keep_"
SHARED_PARENTS = 4
"""Parents of a decision that every decision has; behind them are three of each task file to keep:
the tasks, and their evaluations before and after."""


def own_work(made: Mapping[str, Manifest], number: int) -> dict[str, Manifest]:
    """What round `number` made of what it names, each piece of work once."""
    own: dict[str, Manifest] = {}
    seen = set()
    for name, manifest in made.items():
        if manifest.hash not in seen and (number == 1 or not _is_found(name)):
            own[name] = manifest
            seen.add(manifest.hash)
    return own


def kept_work(evaluations: Iterable[tuple[Manifest, Manifest]]) -> dict[str, Manifest]:
    """The evaluations before and after of task files to keep, by names of their own."""
    return {
        f"{KEEP}{number}_{when}": manifest
        for number, both in enumerate(evaluations, 1)
        for when, manifest in zip(("before", "after"), both, strict=True)
    }


def kept_by(ctx: Context, decision: Manifest) -> dict[str, Manifest]:
    """The same of a decision, as far as the store still has them."""
    names = decision.parents[SHARED_PARENTS:]
    found = {m.hash: m for m in ctx.store.manifests("evaluate")} if names else {}
    both = zip(names[1::3], names[2::3], strict=True)
    return kept_work((found[b], found[a]) for b, a in both if b in found and a in found)


def kept_spent(ctx: Context, decision: Manifest) -> dict[str, Spent]:
    """What these evaluations took, by reference: the gate has them done, not the round."""
    return {m.reference: spent_on(m) for m in kept_by(ctx, decision).values()}


def over_share(
    made: Mapping[str, Manifest], number: int, rounds: int, budget: BudgetConfig
) -> str | None:
    """What round `number` took more of than its share of the budget of all; tokens and executions
    alone, so that the decision is the same for the same settings.
    """
    spent = total(map(spent_on, own_work(made, number).values()))
    return over_budget(spent.times(rounds), budget)


def _is_found(name: str) -> bool:
    return name in FOUND or (name.startswith(KEEP) and name.endswith("_before"))
