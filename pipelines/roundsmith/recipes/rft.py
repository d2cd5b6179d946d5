"""RFT: rejection-sampling fine-tuning, the baseline that samples from P(code | own description)."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from pydantic import Field

from roundsmith.recipes.contract import (
    Recipe,
    RecipeConfig,
    gold_rows,
    refuse_without_demonstrations,
    sample_example,
)
from roundsmith.recipes.pools import distinct
from roundsmith.recipes.session import Session
from roundsmith.recipes.styles import style_of_group
from roundsmith.types import Group, Row, Sample, Sampling, Task


class RftConfig(RecipeConfig):
    """Defaults match GiFT's budget: 20 iterations of 3 codes are 60 samples a task."""

    samples_per_task: int = Field(60, gt=0)
    temperature: float = Field(1.0, ge=0)
    top_k: int = Field(50, ge=0)
    max_tokens: int = Field(512, gt=0)
    rewritten: int = Field(0, ge=0)
    """RFT+RD: descriptions beside the task's own, written by the model for the task's reference;
    the samples are shared out evenly.
    """
    description_top_p: float = Field(0.95, gt=0, le=1)
    selected_per_task: int = Field(8, gt=0)
    """K: distinct passing codes drawn without replacement; fewer where there are fewer."""


class Rft(Recipe):
    """Passing, distinct codes of the task's own description, with all gold pairs mixed in.

    The sampling budget of the paper's RFT baseline is not known; the default is GiFT's own number
    of codes, so that the two are compared at equal samples. Departure from GiFT's setting without
    weights: codes are distinct by what the model wrote, so nothing is drawn twice.

    With `rewritten` it is RFT+RD, whose way to rewrite is not known either: here the model
    describes the reference, so that one step of GiFT's chain is all that differs from it.
    """

    Config = RftConfig
    name = "rft"
    config: RftConfig
    selecting: ClassVar[frozenset[str]] = frozenset({"selected_per_task"})

    @property
    def demonstrates(self) -> bool:
        """Only rewriting does."""
        return self.config.rewritten > 0

    @property
    def draws_per_task(self) -> int:
        """All of a task's codes."""
        return self.config.samples_per_task

    @property
    def rows_per_task(self) -> int:
        """K."""
        return self.config.selected_per_task

    def check(self, tasks: Sequence[Task]) -> None:
        """Rewriting shows how to describe code by another task's reference."""
        if self.config.rewritten:
            refuse_without_demonstrations(tasks, self.name)

    async def sample(self, task: Task, session: Session) -> Group:
        """All codes of a description at once."""
        cfg = self.config
        sampling = Sampling(
            cfg.max_tokens, cfg.temperature, top_k=cfg.top_k, stop=session.style.code_stops
        )
        said = await self._rewrite(task, session)
        descriptions = [(task.description, ()), *((d.text, (d.sample_id,)) for d in said)]
        share, rest = divmod(cfg.samples_per_task, len(descriptions))
        codes: list[Sample] = []
        for step, (description, parents) in enumerate(descriptions):
            if n := share + (step < rest):
                codes += await session.write_codes(
                    task, description, sampling, step=step, n=n, parents=parents
                )
        return Group(task, (*codes, *said), await session.verify(task, codes))

    async def _rewrite(self, task: Task, session: Session) -> list[Sample]:
        """Descriptions of the task's reference by the model; none for a task without one."""
        cfg = self.config
        sampling = Sampling(
            cfg.max_tokens,
            cfg.temperature,
            top_p=cfg.description_top_p,
            top_k=cfg.top_k,
            stop=session.style.description_stops,
        )
        said = [
            await session.write_description(task, task.reference, sampling, step=i, parents=())
            for i in range(cfg.rewritten)
            if task.reference is not None
        ]
        return [description for description in said if description is not None]

    def select(self, group: Group, random: Random) -> Sequence[Row]:
        """Gold, and K distinct passing codes drawn uniformly, under the task's own description."""
        prompt = style_of_group(group).code(group.task, group.task.description)
        codes = distinct(group.passing())
        picks = random.sample(codes, min(self.config.selected_per_task, len(codes)))
        gold = gold_rows(group, self.name)
        return [*gold, *(sample_example(prompt, pick, group) for pick in picks)]


RECIPE = Rft
