"""ssd: training on raw, unverified samples: the floor that a method that verifies must beat."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from pydantic import Field

from roundsmith.recipes.contract import Recipe, RecipeConfig, gold_rows, sample_example
from roundsmith.recipes.session import Session
from roundsmith.recipes.styles import style_of_group
from roundsmith.types import Group, Row, Sampling, Task


class SsdConfig(RecipeConfig):
    """The same number of rows, temperature and gold as `rft`, so that only verifying differs."""

    samples_per_task: int = Field(8, gt=0)
    """No more are needed than are taken: nothing is thrown away."""
    temperature: float = Field(1.0, ge=0)
    top_k: int = Field(50, ge=0)
    max_tokens: int = Field(512, gt=0)
    selected_per_task: int = Field(8, gt=0)
    """K: codes drawn without replacement, right or wrong."""
    gold: bool = True
    """Mix all gold pairs in, as `rft` and `gift` do."""


class Ssd(Recipe):
    """Codes of the task's own description, imitated as they are: no test is run and none is scored.

    Not a published recipe but a control: what of a gain is sharpening, format and more steps.
    """

    Config = SsdConfig
    name = "ssd"
    config: SsdConfig
    selecting: ClassVar[frozenset[str]] = frozenset({"selected_per_task", "gold"})

    @property
    def demonstrates(self) -> bool:
        """A task is asked for by itself."""
        return False

    @property
    def draws_per_task(self) -> int:
        """All of a task's codes."""
        return self.config.samples_per_task

    @property
    def rows_per_task(self) -> int:
        """K, or all that are drawn where those are fewer."""
        return min(self.config.selected_per_task, self.config.samples_per_task)

    async def sample(self, task: Task, session: Session) -> Group:
        """All codes of a task at once; nothing is run."""
        cfg = self.config
        sampling = Sampling(
            cfg.max_tokens, cfg.temperature, top_k=cfg.top_k, stop=session.style.code_stops
        )
        codes = await session.write_codes(
            task, task.description, sampling, step=0, n=cfg.samples_per_task
        )
        return Group(task, codes)

    def select(self, group: Group, random: Random) -> Sequence[Row]:
        """Gold, and K codes drawn uniformly."""
        prompt = style_of_group(group).code(group.task, group.task.description)
        picks = random.sample(group.samples, min(self.config.selected_per_task, len(group.samples)))
        gold = gold_rows(group, self.name) if self.config.gold else []
        return [*gold, *(sample_example(prompt, pick, group) for pick in picks)]


RECIPE = Ssd
