"""From finished arms to verdicts on claims: a pure function of both.

The unit is the seed: two arms are compared on each seed, task by task, and the interval is for
other seeds of the same base models and other tasks. All headline claims are one family for Holm,
those at equal tokens beside them another, all sweeps a third. For other base models there is an
interval of its own, whose unit is the base.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from roundsmith.claims import Claim, Claims, Family
from roundsmith.reproduce.finished import Finished
from roundsmith.statistics import (
    Contrast,
    Evaluation,
    Holds,
    Interval,
    Part,
    contrast,
    holm,
    smallest_contrast,
    verdict,
)

FEWEST_BASES = 3
"""Of fewer, nothing is said of other base models."""
BySeed = Mapping[str, Mapping[int, Finished]]
"""Finished arms by name and seed."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a comparison says of one claim. `interval` is Holm's; `ci95` is of this claim alone."""

    claim: Claim
    family: Family
    found: Contrast | None
    """None where no seed has both arms and what is measured of them."""
    interval: Interval
    ci95: Interval
    p_value: float
    """Holm's."""
    holds: Holds
    detects: float | None
    """The smallest true difference found four times in five, at the strictest level of Holm."""
    other_bases: Interval | None = None
    """Of 95 %, for other base models, seeds and tasks; None with fewer than FEWEST_BASES."""
    because: str = ""
    """Why it stays undecided whatever the interval is."""


def judge(claims: Claims, done: BySeed) -> list[Judged]:
    """Every claim both arms of which were played, the headline first. Those that were not played
    count for Holm, so that a part of a comparison is no easier to pass than the whole.
    """
    judged = [one for family in Family for one in _family(claims, family, done)]
    return [one for one in judged if one.found is not None]


def difference(claim: Claim, done: BySeed) -> Contrast | None:
    """`better` over `than` on the seeds that have both, and have what is measured of both: few
    tasks may hold none of a set. What is lower counts as better where the claim says so.
    """
    pairs = _pairs(claim, done)
    return contrast(_parts(claim, pairs)) if pairs else None


def over_bases(claim: Claim, done: BySeed) -> Contrast | None:
    """The same with the base model as the unit: seeds of one are averaged first. Seeds that share a
    base are not independent draws of what another base would give.
    """
    pairs = _pairs(claim, done)
    names = np.array([one.model for one, _ in pairs])
    of_base_BS = names == np.unique(names)[:, None]
    if len(of_base_BS) < FEWEST_BASES:
        return None
    mean_BS = of_base_BS / of_base_BS.sum(1, keepdims=True)
    parts = _parts(claim, pairs)
    return contrast([Part(mean_BS @ part.values_ST, part.weight) for part in parts])


def _pairs(claim: Claim, done: BySeed) -> list[tuple[Finished, Finished]]:
    """Both arms on each seed that has them and what is measured of them."""
    better, than = done.get(claim.better, {}), done.get(claim.than, {})
    both = [(better[seed], than[seed]) for seed in sorted(better.keys() & than.keys())]
    return [pair for pair in both if all(of.has(claim.metric, claim.on) for of in pair)]


def _parts(claim: Claim, pairs: Sequence[tuple[Finished, Finished]]) -> list[Part]:
    sign = -1.0 if claim.lower_is_better else 1.0
    if not claim.metric.startswith("pass@"):
        values = [
            sign * (one.metric(claim.metric, "") - two.metric(claim.metric, ""))
            for one, two in pairs
        ]
        return [Part(np.array(values)[:, None])]
    k = int(claim.metric.removeprefix("pass@"))
    signs = (sign, *([-sign] * claim.on.count(" - ")))
    return [
        Part(_paired([(a.parts[part], b.parts[part]) for a, b in pairs], k), weight)
        for part, weight in zip(claim.on.split(" - "), signs, strict=True)
    ]


def _paired(pairs: Sequence[tuple[Evaluation, Evaluation]], k: int) -> np.ndarray:
    """Differences of pass@k, [S, T]; one column of means where the seeds have not the same
    tasks.
    """
    sets = [{count.task_id for count in of.counts} for pair in pairs for of in pair]
    if all(ids == sets[0] for ids in sets):
        return np.array([a.pass_at_k(k) - b.pass_at_k(k) for a, b in pairs])
    return np.array([[a.mean(k) - b.mean(k)] for a, b in pairs])


def _family(claims: Claims, family: Family, done: BySeed) -> list[Judged]:
    alpha, none = claims.alpha, Interval(-math.inf, math.inf)
    of = [claim for claim in claims.claims if claims.family(claim) is family]
    found = [difference(claim, done) for claim in of]
    p_values = [
        1.0 if one is None else one.p_value(_bounds(claim)[0])
        for claim, one in zip(of, found, strict=True)
    ]
    judged = []
    for claim, one, step in zip(of, found, holm(p_values, alpha), strict=True):
        interval = none if one is None else one.interval(step.level)
        because = _unreachable(claim, claims, done)
        by_base = over_bases(claim, done)
        judged.append(
            Judged(
                claim=claim,
                family=family,
                found=one,
                interval=interval,
                ci95=none if one is None else one.interval(1 - alpha),
                p_value=step.p_value,
                holds=Holds.UNDECIDED if because else verdict(interval, *_bounds(claim)),
                detects=None
                if one is None
                else smallest_contrast(one.standard_error, one.degrees, alpha=alpha / len(of)),
                other_bases=None if by_base is None else by_base.interval(1 - alpha),
                because=because,
            )
        )
    return judged


def _unreachable(claim: Claim, claims: Claims, done: BySeed) -> str:
    """Why nothing can be said: the base solves none of the tasks, or was not asked."""
    if not claim.reachable:
        return ""
    samples = claims.arms[claim.reachable].samples
    seen = done.get(claim.reachable, {}).values()
    if not seen:
        return f"arm {claim.reachable} was not played, which tells whether the base solves any"
    parts = claim.on.split(" - ")
    if any(of.parts[on].mean(samples) > 0 for of in seen for on in parts if on in of.parts):
        return ""
    return f"the base solves none of these tasks in {samples} samples"


def _bounds(claim: Claim) -> tuple[float, float]:
    """Above what a claim is shown, and below what it is refuted."""
    if claim.direction == "no_worse":
        return -claim.margin, -claim.margin
    return 0.0, claim.margin
