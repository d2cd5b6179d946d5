"""What the rules of a run make of its decided rounds, while it is played or planned."""

from roundsmith.commands.promotions import is_promoted
from roundsmith.lineage.history import History
from roundsmith.steps.context import Context
from roundsmith.steps.own_work import kept_spent
from roundsmith.steps.rules import RoundSeen, why_stop
from roundsmith.steps.seen import round_seen
from roundsmith.steps.spent import Spent, spent_on


class Decided:
    """The rounds that were decided so far, and what all of the run's work took."""

    def __init__(self, taken_back: frozenset[str]) -> None:
        self._taken_back = taken_back
        self._seen: list[RoundSeen] = []
        self._spent: dict[str, Spent] = {}

    def begin(self) -> None:
        """Forgets the rounds, as a run that is begun again finds them again."""
        self._seen.clear()

    def add(self, ctx: Context, ref: str) -> None:
        """Counts what a finished step took, once."""
        self._spent[ref] = spent_on(ctx.manifest(ref))

    def promoted(self, ctx: Context, decision: str) -> bool:
        """Whether the gate let a checkpoint through and nobody took it back."""
        found = ctx.manifest(decision)
        if not self._taken_back:
            return bool(found.stats["promoted"])
        return is_promoted(History(ctx.store), found, self._taken_back)

    def why_last(self, ctx: Context, decision: str, rows: str) -> str | None:
        """Why a round is the last, whatever was planned, in words; None where it is not. Asked once
        of every round, in order.
        """
        seen = ctx.manifest(decision), ctx.manifest(rows)
        self._spent |= kept_spent(ctx, seen[0])
        self._seen.append(round_seen(ctx, *seen, self.promoted(ctx, decision), self._spent))
        config = ctx.config
        return why_stop(self._seen, config.stop, config.budget, config.price)
