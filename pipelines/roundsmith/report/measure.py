"""From the evaluations of a round to the numbers that its summary states."""

from roundsmith.report.summary import Difference, Gate, PassAtK, Range
from roundsmith.statistics import Evaluation, GateDecision, Interval, paired_difference
from roundsmith.statistics.evaluation import refuse_incomplete


def measured(
    before: Evaluation, after: Evaluation, control: Evaluation | None, *, k: int, seed: int
) -> PassAtK:
    """pass@k of one split with its intervals, paired by task; the same for a seed.

    Raises IncompleteEvaluation when the evaluations do not cover the same tasks with all samples.
    """
    refuse_incomplete([before, after, *([control] if control else [])])
    found = paired_difference(before.pass_at_k(k), after.pass_at_k(k), seed=seed)
    return PassAtK(
        before=before.mean(k),
        after=after.mean(k),
        ci95=_range(found.ci95),
        p_value=found.p_value,
        method=found.method,
        num_tasks=found.num_tasks,
        num_samples=after.num_samples,
        before_ci95=_range(before.interval(k, seed=seed)),
        after_ci95=_range(after.interval(k, seed=seed)),
        control=control.mean(k) if control else None,
        control_ci95=_range(control.interval(k, seed=seed)) if control else None,
        over_control=_over(control, after, k, seed) if control else None,
    )


def gate(decision: GateDecision) -> Gate:
    """The gate's decision as the summary states it."""
    return Gate(
        reasons=decision.reasons,
        difference=decision.difference,
        ci95=_range(decision.ci95),
        p_value=decision.p_value,
        threshold=decision.threshold,
        method=decision.method,
        num_tasks=decision.num_tasks,
    )


def _over(control: Evaluation, after: Evaluation, k: int, seed: int) -> Difference:
    found = paired_difference(control.pass_at_k(k), after.pass_at_k(k), seed=seed)
    return Difference(found.difference, _range(found.ci95), found.p_value, found.method)


def _range(interval: Interval) -> Range:
    return interval.low, interval.high
