"""The pool that a chain of GiFT leaves: one passing code an iteration at most; and what is told of
the pools of a round.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isnan
from statistics import mean

from roundsmith.recipes.tail import Reals, effective_sizes
from roundsmith.types import Example, Group, Row, Sample


def kept_state(passing: Sequence[Sample]) -> Sample | None:
    """The chain's next state: one passing code, drawn uniformly, or None.

    The draw is the smallest content hash: uniform, and the same wherever it is asked again.
    """
    return min(passing, key=lambda code: code.sample_id, default=None)


def pool(group: Group) -> list[Sample]:
    """The kept codes by iteration, one at most for each; equal codes stay, as released."""
    by_step: dict[int, list[Sample]] = {}
    for code in group.passing():
        by_step.setdefault(code.step, []).append(code)
    kept = (kept_state(by_step[step]) for step in sorted(by_step))
    return [code for code in kept if code is not None]


def scored_pool(group: Group, dedup: bool) -> list[Sample]:
    """What is drawn from: the codes of the pool that have a perplexity, which is a number; with
    `dedup` the first of equal ones.
    """
    scores = group.scores
    codes = [
        code
        for code in pool(group)
        if code.sample_id in scores and not isnan(scores[code.sample_id].perplexity)
    ]
    return distinct(codes) if dedup else codes


def distinct(codes: Iterable[Sample]) -> list[Sample]:
    """The first of equal codes of a task. What the model wrote is compared: a program also holds
    the description that it was drawn from, which another iteration words otherwise.
    """
    first: dict[str, Sample] = {}
    for code in codes:
        first.setdefault(code.completion.strip(), code)
    return list(first.values())


def measure(
    chosen: Iterable[tuple[Group, Sequence[Row]]],
    pool_of: Callable[[Group], Sequence[Sample]],
    weights_of: Callable[[Sequence[Sample], Group], Reals],
) -> Mapping[str, float]:
    """Means over the tasks with a pool: codes in it, the effective sample size of the weights, and
    how many distinct codes were drawn.
    """
    sizes, effective, drawn = [], [], []
    for group, rows in chosen:
        if codes := pool_of(group):
            sizes.append(len(codes))
            effective.append(float(effective_sizes(weights_of(codes, group))[0]))
            own = (row for row in rows if isinstance(row, Example) and row.provenance.parents)
            drawn.append(len({row.completion.strip() for row in own}))
    if not sizes:
        return {"tasks with a pool": 0.0}
    return {
        "tasks with a pool": float(len(sizes)),
        "codes in a pool": mean(sizes),
        "effective sample size": mean(effective),
        "distinct codes drawn": mean(drawn),
    }
