"""What a run would do, and how long it would take, without doing it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from roundsmith.report.dotted import changed
from roundsmith.steps import run_step
from roundsmith.steps.context import Context, Made, Parts, Work
from roundsmith.steps.decide import load_kept
from roundsmith.steps.forecast import Forecast, Size
from roundsmith.steps.inputs import is_here
from roundsmith.steps.spent import Spent, total
from roundsmith.store import Manifest, shard_step
from roundsmith.store.overlay import Overlay
from roundsmith.types import Split

TO_DO = "?"
"""What the reference of work that is not done begins with."""
NEVER = "not made yet"
INPUTS = {"tasks", "model"}
"""What a run begins with."""
SELECTION_STEPS = ("sample", "score", "select")
"""What selected rows rest on."""
FREE = ("tasks", "kept")
"""Steps that are cheap enough to be done for a plan, in a store that is thrown away: the numbers of
tasks are what everything else is reckoned by."""


class NotDone(Exception):  # no error: the answer of a step that would have work to do
    """A step whose work is not in the store, and why it is not."""

    def __init__(self, step: str, shards_done: int, why: str) -> None:
        super().__init__(step)
        self.shards_done, self.why = shards_done, why


@dataclass(frozen=True)
class PlannedContext(Context):
    """A context whose steps end where their work would begin. Its store is an Overlay."""

    async def undone(
        self, work: Work, make: Callable[[], Awaitable[Made]], parts: Parts
    ) -> Manifest:
        """Raises NotDone, with how many shards of the work are done."""
        if work.step in FREE:
            return await super().undone(work, make, parts)
        committed = self.store.keys(shard_step(work.step))
        shards = (shard for shard in parts() if shard.key in committed) if committed else ()
        done = sum(self.store.find(shard.step, shard.key) is not None for shard in shards)
        why = self.why(work.step, work.key, work.config, work.parents)
        raise NotDone(work.step, done, why)

    def why(self, step: str, key: str, config: Mapping[str, Any], parents: Sequence[str]) -> str:
        """What tells work from the nearest that the store holds: of the same inputs, or else of
        other tasks or another model to begin with.
        """
        others = [m for m in self.store.manifests(step) if m.key != key]
        near = [m for m in others if tuple(m.parents) == tuple(parents)]
        if not near:
            apart = [self._other_inputs(m.parents, parents) for m in others]
            words = min((names for names in apart if names), key=len, default=())
            return f"other {' and '.join(words)} than before" if words else NEVER
        differ = min((changed(m.config, config) for m in near), key=len)
        names = [name.removeprefix("config.") for name in differ]  # the recipe's own settings
        return f"changed: {', '.join(names)}" if names else "this release makes it otherwise"

    def _other_inputs(self, old: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
        """Which inputs of a run tell two works apart; nothing where other parents do, too."""
        apart = [both for both in zip(old, new, strict=False) if both[0] != both[1]]
        steps = [{self._steps.get(name, "") for name in both} for both in apart]
        same = len(old) == len(new) and all(len(of) == 1 and of <= INPUTS for of in steps)
        return tuple(name for of in steps for name in of) if same else ()

    @cached_property
    def _steps(self) -> dict[str, str]:
        """The steps of all finished work, by its hash."""
        return {manifest.hash: manifest.step for manifest in self.store.every_manifest()}


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a round: whether it is found, how much of it is to do, and what that takes."""

    round: int
    label: str
    todo: float
    """The part of it that is to be done, from 0 (it is found) to 1."""
    spent: Spent | None
    """What it would take; None where the store holds no such work to reckon by."""
    why: str = ""
    """What it is to be done for; nothing where it is found."""
    rows: int = 0
    """Rows that it would select at most, as `select`."""


class Plan:
    """`do` of `round.py`: looks every step up and keeps what would be done."""

    def __init__(self, context: PlannedContext, overlay: Overlay, forecast: Forecast) -> None:
        self.context, self._overlay, self._forecast = context, overlay, forecast
        self.steps: list[PlannedStep] = []
        self._size = Size()

    def begin(self, number: int) -> None:
        """The round that the next steps belong to."""
        self.context = replace(self.context, round=number)

    async def look(self, step: str, split: str, of: str, inputs: Mapping[str, str]) -> str:
        """The reference of a step's work, or one that begins with TO_DO."""
        if step != "decide":
            return await self._look(step, split, of, inputs)
        kept = [ref for file in self._kept_files() for ref in await self._look_kept(file, inputs)]
        return await self._look(step, split, of, inputs, kept)

    def _kept_files(self) -> list[str]:
        return [kept.tasks for kept in self.context.config.keep if kept.tasks]

    async def _look_kept(self, file: str, inputs: Mapping[str, str]) -> list[str]:
        """The evaluations that the gate has done on a file of tasks to keep."""
        tasks, size = await load_kept(self.context, file), self._size
        counts = self.context.manifest(tasks).stats
        self._size = replace(size, tasks={Split.GATE: counts[Split.GATE]})
        found = []
        for when, name in (("before", "model"), ("after", "checkpoint")):
            given = {"tasks": tasks, "model": inputs[name]}
            found.append(await self._look("evaluate", Split.GATE, f"{when}, {file}", given))
        self._size = size
        return found

    async def _look(
        self,
        step: str,
        split: str,
        of: str,
        inputs: Mapping[str, str],
        beside: Sequence[str] = (),
    ) -> str:
        """The same of one step; `beside` is what it has done itself."""
        rests = (*inputs.values(), *beside)
        label = " ".join(part for part in (step, split, of and f"({of})") if part)
        name = _committed_as(step)
        todo: NotDone | None = None
        known = all(map(is_done, rests))
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
                    parts = (manifest.step, manifest.key, manifest.config, manifest.parents)
                    self._add(label, 1.0, self._forecast.of(name, 1.0), self.context.why(*parts))
                return found
        size = self._size.of(name, split, self.context.config, self.context.recipe)
        shards = max(1, -(-size.tasks // self.context.config.shard_tasks))
        left = 1.0 if todo is None else 1.0 - min(1.0, todo.shards_done / shards)
        spent = self._forecast.of(name, size.amount)
        why = todo.why if todo else _awaited(rests) or "not fetched yet"
        most = self._size.tasks.get(Split.TRAIN, 0) * self.context.recipe.rows_per_task
        rows = most if step == "select" else 0
        self._add(label, left, None if spent is None else spent.times(left), why, rows)
        return f"{TO_DO}{label}/{len(self.steps)}"

    def _add(
        self, label: str, todo: float, spent: Spent | None, why: str = "", rows: int = 0
    ) -> None:
        self.steps.append(PlannedStep(self.context.round, label, todo, spent, why, rows))

    async def _run(self, step: str, split: str, inputs: Mapping[str, str]) -> str:
        return await run_step(self.context, step, split=split, **inputs)


def is_done(reference: str) -> bool:
    """Whether a reference is of work that is in the store, not of work to be done."""
    return not reference.startswith(TO_DO)


def _awaited(references: Iterable[str]) -> str:
    """The last of the inputs that are to be done themselves."""
    parted = (ref.removeprefix(TO_DO).rpartition("/") for ref in references if not is_done(ref))
    last = max(((int(number), label) for label, _, number in parted), default=None)
    return "" if last is None else f"follows {last[1]}"


def _committed_as(step: str) -> str:
    """The name that a step's manifests have."""
    names = {
        "load_tasks": "tasks",
        "compared_tasks": "tasks",
        "load_model": "model",
        "select_gold": "gold",
        "writer": "train",
    }
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


def a_selected_row(steps: Sequence[PlannedStep], number: int) -> Spent | None:
    """What one selected row of a round would take at least: that of sampling, scoring and selecting
    by the most rows that there can be. None where one of these is found, or can not be reckoned.
    """
    mine = [step for step in steps if step.round == number and step.label in SELECTION_STEPS]
    rows = sum(step.rows for step in mine)
    if not rows or any(step.spent is None or not step.todo for step in mine):
        return None
    whole = (step.spent.times(1 / step.todo) for step in mine if step.spent is not None)
    return total(whole).times(1 / rows)
