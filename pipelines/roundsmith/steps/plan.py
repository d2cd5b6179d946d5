"""What a run would do, and how long it would take, without doing it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from roundsmith.steps import run_step
from roundsmith.steps.context import Context, Made
from roundsmith.steps.forecast import Forecast, Size
from roundsmith.steps.inputs import is_here
from roundsmith.steps.spent import Spent
from roundsmith.store import Manifest, step_key
from roundsmith.store.overlay import Overlay

TO_DO = "?"
"""What the reference of work that is not done begins with."""
FREE = ("tasks",)
"""Steps that are cheap enough to be done for a plan, in a store that is thrown away: the numbers of
tasks are what everything else is reckoned by."""


class NotDone(Exception):  # no error: the answer of a step that would have work to do
    """A step whose work is not in the store."""

    def __init__(self, step: str, config: Mapping[str, Any], parents: Sequence[Manifest]) -> None:
        super().__init__(step)
        self.step, self.config, self.parents = step, config, parents
        self.shards_done = 0


@dataclass(frozen=True)
class PlannedContext(Context):
    """A context whose steps end where their work would begin. Its store is an Overlay."""

    async def once(
        self,
        step: str,
        version: int,
        config: Mapping[str, Any],
        parents: Sequence[Manifest],
        make: Callable[[], Awaitable[Made]],
        shard: int = 0,
    ) -> Manifest:
        """The step's manifest, if it is committed. Raises NotDone, with how many of its shards are
        done, if it is not.
        """
        hashes = tuple(parent.hash for parent in parents)
        found = self.store.find(step, step_key(step, version, config, hashes, shard))
        if found is not None:
            return found
        if step in FREE:
            return await super().once(step, version, config, parents, make, shard)
        todo = NotDone(step, config, parents)
        while self.store.find(
            f"{step}-shard", step_key(f"{step}-shard", version, config, hashes, todo.shards_done)
        ):
            todo.shards_done += 1
        raise todo


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a round: whether it is found, how much of it is to do, and what that takes."""

    round: int
    label: str
    todo: float
    """The part of it that is to be done, from 0 (it is found) to 1."""
    spent: Spent | None
    """What it would take; None where the store holds no such work to reckon by."""


class Plan:
    """`do` of `round.py`: looks every step up and keeps what would be done."""

    def __init__(self, context: PlannedContext, overlay: Overlay, forecast: Forecast) -> None:
        self.context, self._overlay, self._forecast = context, overlay, forecast
        self.steps: list[PlannedStep] = []
        self._size = Size()

    def begin(self, number: int) -> None:
        """The round that the next steps belong to."""
        self.context = replace(self.context, round=number)

    def promoted(self, decision: str) -> bool:
        """What the gate said; of one that is still to be asked, that it promotes: then most is to
        do.
        """
        known = not decision.startswith(TO_DO)
        return bool(self.context.manifest(decision).stats["promoted"]) if known else True

    async def look(self, step: str, split: str, of: str, inputs: Mapping[str, str]) -> str:
        """The reference of a step's work, or one that begins with TO_DO."""
        label = " ".join(part for part in (step, split, of and f"({of})") if part)
        name = _committed_as(step)
        todo: NotDone | None = None
        known = not any(reference.startswith(TO_DO) for reference in inputs.values())
        if known and (step != "load_model" or is_here(self.context)):
            try:
                found = await self._run(step, split, inputs)
            except NotDone as answer:
                todo = answer
            else:
                manifest = self.context.manifest(found)
                self._size = self._size.seen(manifest)
                if self._overlay.kept(manifest):
                    self._add(label, 0.0, Spent())
                else:
                    self._add(label, 1.0, self._forecast.of(name, 1.0))
                return found
        size = self._size.of(name, split, self.context.config, self.context.recipe)
        shards = max(1, -(-size.tasks // self.context.config.shard_tasks))
        left = 1.0 if todo is None else 1.0 - min(1.0, todo.shards_done / shards)
        spent = self._forecast.of(name, size.amount)
        self._add(label, left, None if spent is None else spent.times(left))
        return f"{TO_DO}{label}/{len(self.steps)}"

    def _add(self, label: str, todo: float, spent: Spent | None) -> None:
        self.steps.append(PlannedStep(self.context.round, label, todo, spent))

    async def _run(self, step: str, split: str, inputs: Mapping[str, str]) -> str:
        return await run_step(self.context, step, split=split, **inputs)


def _committed_as(step: str) -> str:
    """The name that a step's manifests have."""
    names = {"load_tasks": "tasks", "load_model": "model", "select_gold": "gold", "writer": "train"}
    return names.get(step, step)


def remaining(steps: Sequence[PlannedStep], number: int) -> Spent | None:
    """What one round would take; None when any of its long steps can not be reckoned."""
    mine = [step for step in steps if step.round == number]
    unknown = [step for step in mine if step.spent is None and step.todo > 0]
    if unknown:
        return None
    added = Spent()
    for step in mine:
        added = added + (step.spent or Spent())
    return added
