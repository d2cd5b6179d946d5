"""RFT: rejection-sampling fine-tuning, the baseline that samples from P(code | own description)."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from pydantic import Field

from roundsmith.recipes.contract import Recipe, RecipeConfig, gold_example, sample_example
from roundsmith.recipes.session import Session
from roundsmith.recipes.styles import style_of_group
from roundsmith.types import Group, Row, Sample, Sampling, Task


class RftConfig(RecipeConfig):
    """Defaults match GiFT's budget: 20 iterations of 3 codes are 60 samples a task."""

    samples_per_task: int = Field(60, gt=0)
    temperature: float = Field(1.0, ge=0)
    top_k: int = Field(50, ge=0)
    max_tokens: int = Field(512, gt=0)
    selected_per_task: int = Field(8, gt=0)
    """K: distinct passing codes drawn without replacement; fewer where there are fewer."""


class Rft(Recipe):
    """Passing, distinct codes of the task's own description, with all gold pairs mixed in.

    The sampling budget of the paper's RFT baseline is not known; the default is GiFT's own number
    of codes, so that the two are compared at equal samples. Departure from GiFT's setting without
    weights: codes are distinct by text, so nothing is drawn twice.
    """

    Config = RftConfig
    name = "rft"
    config: RftConfig
    selecting: ClassVar[frozenset[str]] = frozenset({"selected_per_task"})

    @property
    def draws_per_task(self) -> int:
        """All of a task's codes."""
        return self.config.samples_per_task

    @property
    def rows_per_task(self) -> int:
        """K."""
        return self.config.selected_per_task

    async def sample(self, task: Task, session: Session) -> Group:
        """All codes of a task at once."""
        cfg = self.config
        sampling = Sampling(
            cfg.max_tokens, cfg.temperature, top_k=cfg.top_k, stop=session.style.code_stops
        )
        codes = await session.write_codes(
            task, task.description, sampling, step=0, n=cfg.samples_per_task
        )
        return Group(task, codes, await session.verify(task, codes))

    def select(self, group: Group, random: Random) -> Sequence[Row]:
        """Gold, and K distinct passing codes drawn uniformly."""
        task = group.task
        style = style_of_group(group)
        prompt = style.code(task, task.description)
        gold = [gold_example(task, prompt, style.gold(task), self.name)] if task.reference else []
        distinct: dict[str, Sample] = {}
        for code in group.passing():
            distinct.setdefault(code.text.strip(), code)
        codes = list(distinct.values())
        picks = random.sample(codes, min(self.config.selected_per_task, len(codes)))
        return [*gold, *(sample_example(prompt, pick, group) for pick in picks)]


RECIPE = Rft
