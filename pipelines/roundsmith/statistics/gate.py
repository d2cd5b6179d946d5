"""The gate: a checkpoint is promoted on evidence only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from roundsmith.errors import ConfigError
from roundsmith.statistics.bootstrap import Interval
from roundsmith.statistics.evaluation import Evaluation, refuse_incomplete
from roundsmith.statistics.paired import p_equals, paired_difference


@dataclass(frozen=True, slots=True)
class Kept:
    """A measurement that must not get worse by more than `margin`, a share; `name` says which."""

    name: str
    before: Evaluation
    after: Evaluation
    k: int
    margin: float


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Whether to promote, and why in words; `threshold` is alpha / planned_rounds."""

    promoted: bool
    reasons: tuple[str, ...]
    difference: float
    ci95: Interval
    p_value: float
    threshold: float
    method: str
    num_tasks: int


def decide(
    before: Evaluation,
    after: Evaluation,
    *,
    alpha: float,
    planned_rounds: int,
    seed: int,
    k: int = 1,
    contaminated: Sequence[str] = (),
    kept: Sequence[Kept] = (),
    over_budget: str | None = None,
) -> GateDecision:
    """Compare two evaluations of the gate's tasks and decide.

    Promoted when pass@k rose, the two-sided paired p-value is at most alpha / planned_rounds (one
    alpha over all rounds, Bonferroni) and no training row repeats a benchmark task: `contaminated`
    names, for each that does, the task it was made from. Nor may anything `kept` be worse by its
    margin: the lower end of the 95 % interval decides, so that too few tasks to tell do not pass.
    `over_budget` says in words what was spent too much of. Raises IncompleteEvaluation when a task
    or a sample is missing on either side.
    """
    if not 0 < alpha < 1 or planned_rounds < 1:
        raise ConfigError(
            f"saw alpha {alpha} over {planned_rounds} rounds, expected 0 < alpha < 1 and 1 or more"
        )
    refuse_incomplete([before, after])
    found = paired_difference(before.pass_at_k(k), after.pass_at_k(k), seed=seed)
    threshold = alpha / planned_rounds
    failures = (
        *_failures(found.difference, found.p_value, threshold, contaminated),
        *_worse(kept, seed),
        *([over_budget] if over_budget else []),
    )
    promoted = not failures
    success = (
        f"pass@{k} rose by {100 * found.difference:.1f} points on {found.num_tasks} tasks, "
        f"{p_equals(found.p_value)}, at most {threshold:.2g}"
    )
    return GateDecision(
        promoted=promoted,
        reasons=(success,) if promoted else failures,
        difference=found.difference,
        ci95=found.ci95,
        p_value=found.p_value,
        threshold=threshold,
        method=found.method,
        num_tasks=found.num_tasks,
    )


def _failures(
    difference: float, p_value: float, threshold: float, contaminated: Sequence[str]
) -> tuple[str, ...]:
    failures = []
    if difference <= 0:
        failures.append(f"no gain: the difference is {100 * difference:+.1f} points")
    elif p_value > threshold:
        failures.append(
            f"a gain of {100 * difference:.1f} points that chance explains: "
            f"{p_equals(p_value)}, more than {threshold:.2g}"
        )
    if contaminated:
        names = sorted(set(contaminated))
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        failures.append(
            f"{len(contaminated)} training rows repeat benchmark tasks: leave out the tasks they "
            f"were made from, {', '.join(names[:5])}{more}"
        )
    return tuple(failures)


def _worse(kept: Sequence[Kept], seed: int) -> Iterator[str]:
    """Non-inferiority: one sentence for each measurement that can not be shown to have held."""
    for one in kept:
        refuse_incomplete([one.before, one.after])
        found = paired_difference(
            one.before.pass_at_k(one.k), one.after.pass_at_k(one.k), seed=seed
        )
        if found.ci95.low < -one.margin:
            yield (
                f"{one.name} pass@{one.k} may be worse by more than {100 * one.margin:g} points: "
                f"the difference is {100 * found.difference:+.1f}, its interval begins at "
                f"{100 * found.ci95.low:+.1f} ({found.num_tasks} tasks)"
            )
