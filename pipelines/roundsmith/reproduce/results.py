"""A comparison as numbers: for programs (results.json), and as what its page shows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any

from roundsmith.claims import Claims, Family
from roundsmith.report.comparison import ArmRow, ClaimRow, ComparisonPage
from roundsmith.reproduce.choice import Choice, Tuned
from roundsmith.reproduce.finished import Finished
from roundsmith.reproduce.judged import BySeed, Judged
from roundsmith.statistics import Interval

UNTRAINED = "untrained"
"""The arm that the cost of a point is reckoned against."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What results hold for, and nothing else."""

    preset: str
    models: tuple[str, ...]
    tasks: str
    seeds: tuple[int, ...]
    train_tasks: int | None
    final_tasks: int
    tuned: bool
    code: tuple[str, ...] = ()
    """Versions of the code that judged the arms."""

    @property
    def sentence(self) -> str:
        """In words."""
        tuned = "learning rate and beta tuned on gate" if self.tuned else "the preset's rates"
        train = "all" if self.train_tasks is None else f"{self.train_tasks} a seed"
        codes = f"; played by the code {' and '.join(self.code)}" if len(self.code) > 1 else ""
        return (
            f"model {', '.join(self.models)}; tasks {self.tasks} ({train} of train, "
            f"{self.final_tasks} of final); {len(self.seeds)} seeds; preset {self.preset}, {tuned}"
            f"{codes}"
        )


def scope_of(claims: Claims, choice: Choice, tuned: bool, done: BySeed) -> Scope:
    """The scope of what is finished."""
    seeds = tuple(sorted({seed for by_seed in done.values() for seed in by_seed}))
    config = choice.config_of(claims.recipe, 0, {})
    final = {len(one.parts["final"].counts) for of in done.values() for one in of.values()}
    return Scope(
        preset=choice.preset,
        models=tuple(dict.fromkeys(choice.model_of(seed) for seed in seeds)),
        tasks=choice.tasks,
        seeds=seeds,
        train_tasks=config.limit,
        final_tasks=max(final, default=0),
        tuned=tuned,
        code=tuple(sorted({one.code for of in done.values() for one in of.values()})),
    )


def to_json(
    scope: Scope, tuned: Mapping[str, Tuned], done: BySeed, judged: Sequence[Judged]
) -> dict[str, Any]:
    """What results.json holds; an interval without an end is null there."""
    return {
        "schema_version": 1,
        "scope": {**asdict(scope), "sentence": scope.sentence},
        "arms": {arm: _metrics(by_seed) for arm, by_seed in done.items()},
        "tuned": {arm: dict(values) for arm, values in tuned.items()},
        "claims": [_claim(one) for one in judged],
    }


def _metrics(by_seed: Mapping[int, Finished]) -> dict[str, list[Any]]:
    """Every metric of an arm, one number a seed; `seed` names them."""
    seeds = sorted(by_seed)
    every = [by_seed[seed] for seed in seeds]
    parts = {
        f"{part} pass@{k}": [one.metric(f"pass@{k}", part) for one in every]
        for part in every[0].parts
        for k in every[0].ks
        if all(part in one.parts for one in every)
    }
    spent = ("rows", "steps", "tokens", "executions", "sampling_s", "training_s")
    names = sorted(set[str]().union(*(one.measured for one in every)))
    return {
        "seed": list(seeds),
        "model": [one.model for one in every],
        **parts,
        **{name: [getattr(one, name) for one in every] for name in spent},
        **{name: [one.measured.get(name) for one in every] for name in names},
    }


def _claim(one: Judged) -> dict[str, Any]:
    assert one.found is not None
    return {
        "claim": one.claim.claim,
        "source": one.claim.source,
        "better": one.claim.better,
        "than": one.claim.than,
        "metric": one.claim.metric,
        "on": one.claim.on,
        "direction": one.claim.direction,
        "margin": one.claim.margin,
        "headline": one.family is Family.HEADLINE,
        "family": str(one.family),
        "difference": one.found.difference,
        "ci95": _ends(one.ci95),
        "other_bases_ci95": None if one.other_bases is None else _ends(one.other_bases),
        "holm_interval": _ends(one.interval),
        "holm_p_value": one.p_value,
        "detects": one.detects,
        "seeds": one.found.num_seeds,
        "tasks": one.found.num_tasks,
        "holds": str(one.holds),
        "because": one.because,
    }


def _ends(interval: Interval) -> list[float] | None:
    found = _finite(interval)
    return None if found is None else list(found)


def _finite(interval: Interval) -> tuple[float, float] | None:
    return None if math.isinf(interval.low) else (interval.low, interval.high)


@dataclass(frozen=True, slots=True)
class Costs:
    """An arm over its seeds: means, and what a point of pass@1 over the untrained model took."""

    pass_at_1: float
    spread: float | None
    """Standard deviation over seeds."""
    rows: float
    steps: float
    tokens: float
    executions: float
    gain: float | None
    """Over the untrained model on the same seeds."""

    def per_point(self, amount: float) -> float | None:
        """What a point of the gain took; None without a gain."""
        return amount / (100 * self.gain) if self.gain is not None and self.gain > 0 else None


def costs_of(arm: str, done: BySeed) -> Costs:
    """The costs of a played arm."""
    by_seed = done[arm]
    every = [by_seed[seed] for seed in sorted(by_seed)]
    values = [one.metric("pass@1", "final") for one in every]
    base = done.get(UNTRAINED, {})
    gains = [
        one.metric("pass@1", "final") - base[one.seed].metric("pass@1", "final")
        for one in every
        if one.seed in base
    ]
    return Costs(
        pass_at_1=mean(values),
        spread=stdev(values) if len(values) > 1 else None,
        rows=mean(one.rows for one in every),
        steps=mean(one.steps for one in every),
        tokens=mean(one.tokens for one in every),
        executions=mean(one.executions for one in every),
        gain=mean(gains) if gains and arm != UNTRAINED else None,
    )


def page_of(claims: Claims, scope: Scope, done: BySeed, judged: Sequence[Judged]) -> ComparisonPage:
    """What the HTML page shows."""
    rows = []
    for arm, by_seed in done.items():
        costs = costs_of(arm, done)
        rows.append(
            ArmRow(
                name=arm,
                says=claims.arms[arm].says,
                headline=claims.arms[arm].headline,
                values=tuple(by_seed[s].metric("pass@1", "final") for s in sorted(by_seed)),
                rows=costs.rows,
                steps=costs.steps,
                tokens=costs.tokens,
                executions=costs.executions,
                tokens_per_point=costs.per_point(costs.tokens),
                executions_per_point=costs.per_point(costs.executions),
            )
        )
    return ComparisonPage(claims.recipe, scope.sentence, tuple(rows), tuple(map(_row, judged)))


def _row(one: Judged) -> ClaimRow:
    assert one.found is not None
    return ClaimRow(
        claim=one.claim.claim,
        source=one.claim.source,
        arms=f"{one.claim.better} − {one.claim.than}",
        where=f"{one.claim.metric} on {one.claim.on}",
        difference=one.found.difference,
        interval=(one.interval.low, one.interval.high),
        margin=one.claim.margin,
        p_value=one.p_value,
        detects=one.detects,
        holds=str(one.holds),
        because=one.because,
        note=one.family.note,
        other_bases=None if one.other_bases is None else _finite(one.other_bases),
    )
