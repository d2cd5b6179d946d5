"""What the rules of a run look at when a round is decided."""

from collections.abc import Iterable, Iterator, Mapping

from roundsmith.steps.contamination import structure
from roundsmith.steps.context import Context
from roundsmith.steps.rules import RoundSeen
from roundsmith.steps.spent import Spent, total
from roundsmith.store import EXAMPLES, PAIRS, Manifest, Store


def round_seen(
    ctx: Context,
    decision: Manifest,
    rows: Manifest,
    promoted: bool,
    spent: Mapping[str, Spent],
) -> RoundSeen:
    """A round after its decision; `spent` is what all work of the run took, by reference."""
    assert decision.step == "decide", decision.step
    return RoundSeen(promoted, diversity(chosen_of(ctx.store, rows)), total(spent.values()))


def chosen_of(store: Store, rows: Manifest) -> Iterator[str]:
    """What a round's own rows teach: of examples the completions, gold ones left out, and of pairs
    those that are preferred.
    """
    for example in store.read_all(EXAMPLES, rows):
        if example.provenance.parents:
            yield example.completion
    for pair in store.read_all(PAIRS, rows):
        yield pair.chosen


def diversity(programs: Iterable[str]) -> float | None:
    """Distinct syntax trees among programs, as a share of them; None for no program. A body alone
    is told apart by its words, since it does not parse.
    """
    seen: set[int] = set()
    number = 0
    for program in programs:
        number += 1
        seen.add(hash(structure(program, "")))
    return len(seen) / number if number else None
