"""What a run would do, and how long it would take, without doing it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from roundsmith.report.dotted import changed
from roundsmith.steps import run_step
from roundsmith.steps.context import Context, Made, Parts, Work
from roundsmith.steps.forecast import Forecast, Size
from roundsmith.steps.inputs import is_here
from roundsmith.steps.spent import Spent
from roundsmith.store import Manifest, shard_step
from roundsmith.store.overlay import Overlay

TO_DO = "?"
"""What the reference of work that is not done begins with."""
NEVER = "not made yet"
FREE = ("tasks",)
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
        raise NotDone(work.step, done, self._why(work))

    def _why(self, work: Work) -> str:
        """What tells work from the nearest that the store holds of the same inputs."""
        near = [m for m in self.store.manifests(work.step) if tuple(m.parents) == work.parents]
        if not near:
            return NEVER
        differ = min((changed(m.config, work.config) for m in near), key=len)
        names = [name.removeprefix("config.") for name in differ]  # the recipe's own settings
        return f"changed: {', '.join(names)}" if names else "this release makes it otherwise"


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
                    self._add(label, 1.0, self._forecast.of(name, 1.0), NEVER)
                return found
        size = self._size.of(name, split, self.context.config, self.context.recipe)
        shards = max(1, -(-size.tasks // self.context.config.shard_tasks))
        left = 1.0 if todo is None else 1.0 - min(1.0, todo.shards_done / shards)
        spent = self._forecast.of(name, size.amount)
        why = todo.why if todo else _awaited(inputs.values()) or "not fetched yet"
        self._add(label, left, None if spent is None else spent.times(left), why)
        return f"{TO_DO}{label}/{len(self.steps)}"

    def _add(self, label: str, todo: float, spent: Spent | None, why: str = "") -> None:
        self.steps.append(PlannedStep(self.context.round, label, todo, spent, why))

    async def _run(self, step: str, split: str, inputs: Mapping[str, str]) -> str:
        return await run_step(self.context, step, split=split, **inputs)


def _awaited(references: Iterable[str]) -> str:
    """The last of the inputs that are to be done themselves."""
    parted = (ref.removeprefix(TO_DO).rpartition("/") for ref in references if ref[0] == TO_DO)
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
