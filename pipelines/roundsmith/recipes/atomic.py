"""Atomic functions: what SFT and RL each add (Chen et al., 2024, arXiv 2406.10305)."""

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import ClassVar, Literal

from pydantic import Field

from roundsmith.errors import UnfitTasks
from roundsmith.recipes.contract import Recipe, RecipeConfig, gold_rows
from roundsmith.recipes.session import Session
from roundsmith.recipes.stage import GrpoTuning, Stage, Tuning
from roundsmith.recipes.styles import empty_group
from roundsmith.types import Group, Row, Task

SET, PLACE = "set", "place"
"""The keys of a task's `meta` that say where it belongs."""


class AtomicTuning(Tuning):
    """SFT by the settings here, RL by those of `grpo`, on the same prompts; none are the paper's,
    which are not known.
    """

    objective: Literal["sft", "grpo", "sft+grpo"] = "sft+grpo"
    grpo: GrpoTuning = GrpoTuning()


class AtomicConfig(RecipeConfig):
    """What is trained on; the paper's numbers of functions are not known."""

    atoms: bool = True
    """Train on Atom_base."""
    composites: int = Field(40, ge=0)
    """Train on so many of Composite_A: a handful suffices, as the abstract says."""
    training: AtomicTuning = AtomicTuning()


class Atomic(Recipe):
    """References of atoms and of composites are imitated, then the tests of the same tasks are the
    reward; or the one or the other alone.

    In the spirit of the paper, of which only the abstract is certain. Ours are: the functions, the
    sets (Atom_base; A is trained on, B has the same atoms in other chains, C is deeper or holds an
    atom that was withheld), GRPO in place of PPO, and a reward of 1 for a program that passes every
    test and 0 for any other. The run's model should have seen no composite: the lab's
    `roundsmith lab train --atoms-only` makes one.
    """

    Config = AtomicConfig
    name = "atomic"
    config: AtomicConfig
    has_control: ClassVar[bool] = False
    on_train: ClassVar[bool] = True
    selecting: ClassVar[frozenset[str]] = frozenset({"atoms", "composites"})

    @property
    def demonstrates(self) -> bool:
        """A task is asked for by itself."""
        return False

    @property
    def needs_references(self) -> bool:
        """All rows are gold ones, of which grpo too takes its prompts."""
        return True

    @property
    def draws_per_task(self) -> int:
        """None: grpo's completions are drawn while it trains."""
        return 0

    def check(self, tasks: Sequence[Task]) -> None:
        """Only tasks that name their set can be told apart, and composites their place in it."""
        for task in tasks:
            if task.meta.get(SET) == "A" and not task.meta.get(PLACE, "").isdecimal():
                raise UnfitTasks(
                    f"atomic: task {task.task_id}: expected a task of the set A whose meta names "
                    f"its {PLACE} among them, a whole number from 0 on, saw "
                    f"{task.meta.get(PLACE)!r}: use --tasks atomic, or name places"
                )
        if not any(self._trained_on(task) for task in tasks):
            raise UnfitTasks(
                "atomic: expected training tasks whose meta names the set atom or A, saw none that "
                "its settings train on: use --tasks atomic, and atoms=true or composites above 0"
            )

    async def sample(self, task: Task, session: Session) -> Group:
        """Nothing is drawn."""
        return empty_group(task, session.style)

    def select(self, group: Group, random: Random) -> Sequence[Row]:
        """The reference of an atom or of a composite that is trained on."""
        return gold_rows(group, self.name) if self._trained_on(group.task) else []

    def measure(
        self, chosen: Iterable[tuple[Group, Sequence[Row]]], seed: int
    ) -> Mapping[str, float]:
        """How many tasks of each set are trained on."""
        sets = [group.task.meta[SET] for group, rows in chosen if rows]
        return {f"rows of {name}": float(sets.count(name)) for name in sorted(set(sets))}

    def stages(self) -> Sequence[Stage]:
        """sft, then grpo on the prompts of the same rows."""
        tuning = self.config.training
        sft = Stage.model_validate(tuning.model_dump(exclude={"objective", "grpo"}))
        rl = Stage.of(tuning.grpo, objective="grpo", cpu_s=self.config.cpu_s)
        return [stage for stage in (sft, rl) if stage.objective in tuning.objective.split("+")]

    def _trained_on(self, task: Task) -> bool:
        name = task.meta.get(SET)
        if name == "atom":
            return self.config.atoms
        return name == "A" and int(task.meta[PLACE]) < self.config.composites


RECIPE = Atomic
