"""How much a step has to do, and what that took before: the ledger of earlier work, by amount."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roundsmith.recipes.contract import Recipe
from roundsmith.steps.config import RunConfig
from roundsmith.steps.spent import Spent, spent_on, total
from roundsmith.store import Manifest
from roundsmith.types import Split

CONSTANT = ("tasks", "model", "select", "gold", "corpus", "matched", "decide", "report")
"""Steps whose time hardly depends on the size of a round, as long as one fits a machine."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How many tasks a step goes through, and how much work that is in a unit of its own: samples
    to evaluate, samples to draw at most, groups to score, rows to train on.
    """

    tasks: int
    amount: float


@dataclass(frozen=True, slots=True)
class Size:
    """What is known of a round's size while it is planned."""

    tasks: Mapping[str, int] = field(default_factory=dict)
    """By split."""
    rows: int | None = None

    def seen(self, manifest: Manifest) -> "Size":
        """The same with what finished work tells."""
        match manifest.step:
            case "tasks":
                return replace(self, tasks={str(s): manifest.stats[str(s)] for s in Split})
            case "select" | "matched" | "corpus":
                return replace(self, rows=manifest.stats["rows"])
        return self

    def of(self, step: str, split: str, config: RunConfig, recipe: Recipe) -> Amount:
        """How much a step of a run has to do."""
        train = self.tasks.get(Split.TRAIN, 0)
        match step:
            case "evaluate":
                tasks = self.tasks.get(split, 0)
                return Amount(tasks, tasks * config.evaluation.samples)
            case "sample":
                return Amount(train, train * recipe.draws_per_task)
            case "score":
                return Amount(train, train)
            case "train":
                rows = self.rows or train * (1 + recipe.rows_per_task)
                return Amount(1, rows * sum(stage.epochs for stage in recipe.stages()))
        return Amount(1, 1)


class Forecast:
    """What steps take by the work that is in a store: the mean over the amounts that were done."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._one: dict[str, Spent] = {}
        by_step: dict[str, list[tuple[float, Spent]]] = {}
        every = {manifest.hash: manifest for manifest in manifests}
        for manifest in every.values():
            if (amount := _done(manifest)) and manifest.cost.get("seconds"):
                spent = _own(manifest, every)
                by_step.setdefault(manifest.step, []).append((amount, spent))
        for step, done in by_step.items():
            amounts = sum(amount for amount, _ in done)
            self._one[step] = total(spent for _, spent in done).times(1 / amounts)

    def of(self, step: str, amount: float) -> Spent | None:
        """What so much of a step would take; None where there is nothing to reckon by."""
        one = self._one.get(step)
        return None if one is None else one.times(amount)


def _own(manifest: Manifest, every: Mapping[str, Manifest]) -> Spent:
    """What a step took itself: a later stage of a training tells what those before it took, too."""
    spent = spent_on(manifest)
    if manifest.step == "train" and manifest.config.get("number"):
        bases = (every[name] for name in manifest.parents if name in every)
        for earlier in (base for base in bases if base.step == "train"):
            spent += spent_on(earlier).times(-1)
    return spent


def _done(manifest: Manifest) -> float:
    """How much a finished step did, in the unit of `Size.of`; 0 where that is not told."""
    stats: Mapping[str, Any] = manifest.stats
    match manifest.step:
        case "evaluate":
            return float(stats.get("samples", 0))
        case "sample":
            return float(stats.get("samples", 0))
        case "score":
            return float(manifest.rows)
        case "train":
            # A control is trained for steps, not for epochs: the rows that it saw are what counts.
            stage = manifest.config.get("stage", {})
            steps, batch = stats.get("steps", 0), stage.get("batch_size", 0)
            return float(steps * batch)
    return 1.0 if manifest.step in CONSTANT else 0.0
