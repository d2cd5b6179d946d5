"""GiFT: Gibbs Fine-Tuning (Li et al., ACL 2025, arXiv 2502.11466)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from roundsmith.recipes.contract import (
    Recipe,
    RecipeConfig,
    gold_rows,
    refuse_without_demonstrations,
    sample_example,
)
from roundsmith.recipes.pools import kept_state, measure, pool, scored_pool
from roundsmith.recipes.session import Session
from roundsmith.recipes.styles import style_of_group, whole_answer
from roundsmith.recipes.tail import Reals, draw, weights
from roundsmith.types import Group, Outcome, Row, Sample, Sampling, ScoreItem, Task


class GiftConfig(RecipeConfig):
    """Defaults are those of the released code's README."""

    iterations: int = Field(20, gt=0)
    """Length of the chain: descriptions that codes are drawn for."""
    codes_per_iteration: int = Field(3, gt=0)
    temperature: float = Field(1.0, ge=0)
    top_k: int = Field(50, ge=0)
    """Of codes and descriptions: the release passes none, so its library's default applies
    (inferred).
    """
    description_top_p: float = Field(0.95, gt=0, le=1)
    max_tokens: int = Field(512, gt=0)
    selected_per_task: int = Field(8, gt=0)
    """K: codes drawn from the pool, with replacement."""
    tail: float = 2.0
    """T of softmax(T * perplexity): 0 is uniform, larger favours rare codes."""
    dedup: bool = False
    """Keep one of equal codes in the pool, the first, whichever descriptions they were drawn from;
    the release keeps all.
    """
    condition: Literal["generating", "original"] = "generating"
    """The description that perplexity is given: the one that the code was drawn from, as released,
    or the task's own.
    """
    fallback: Literal["gold", "last"] = "gold"
    """What is described after an iteration without a passing code: the release's gold code, or the
    last passing one, which seems to have been intended."""


class Gift(Recipe):
    """Alternates c ~ P(c|d) and d ~ P(d|c), so that codes come from the marginal over descriptions.

    Passing codes are drawn with weights that rise with perplexity, and each is paired with the
    task's original description; all gold pairs are mixed in. Perplexity is given the description
    that the code was drawn from, as released. Departures:

    - demonstrations for code to description are other tasks' references with their own
      descriptions (how the release's summaries were made is not known);
    - a program's limit is CPU time for each test, not wall time for all of them;
    - `\\ndef` ends a code on MBPP as well: its head ends in the signature of the function that the
      tests name, so that only what the release would drop as surplus follows;
    - a code ends before its trailing white space, in training and for perplexity;
    - chat models get a chat prompt, and close the code block in what is trained and scored;
    - a task without reference has no gold row, and keeps its description while no code has passed;
    - a self-made description that leaves no room for a code gives none, a code that leaves no room
      for its description gives way to the reference, and a code that can not be scored whole is
      not in the pool;
    - how later rounds begin is not known of the paper: here from the promoted checkpoint, or where
      the round before began, and from a pool of their own (the release can merge two pools);
    - training drops rows that are too long, where the release cuts them, and runs from one epoch
      into the next, where the release drops the last part of each.
    """

    Config = GiftConfig
    name = "gift"
    config: GiftConfig
    scoring: ClassVar[frozenset[str]] = frozenset({"condition"})
    selecting: ClassVar[frozenset[str]] = frozenset({"selected_per_task", "tail", "dedup"})

    @property
    def demonstrates(self) -> bool:
        """A chain of one iteration describes nothing."""
        return self.config.iterations > 1

    @property
    def draws_per_task(self) -> int:
        """Codes of every iteration, and a description between two."""
        return self.config.iterations * (self.config.codes_per_iteration + 1) - 1

    @property
    def rows_per_task(self) -> int:
        """K."""
        return self.config.selected_per_task

    def check(self, tasks: Sequence[Task]) -> None:
        """A chain shows how to describe code by another task's reference."""
        if self.config.iterations > 1:
            refuse_without_demonstrations(tasks, self.name)

    async def sample(self, task: Task, session: Session) -> Group:
        """One chain, one coroutine: generator and executor serve other chains meanwhile."""
        cfg, style = self.config, session.style
        code_sampling = Sampling(
            cfg.max_tokens, cfg.temperature, top_k=cfg.top_k, stop=style.code_stops
        )
        description_sampling = Sampling(
            cfg.max_tokens,
            cfg.temperature,
            top_p=cfg.description_top_p,
            top_k=cfg.top_k,
            stop=style.description_stops,
        )
        samples: list[Sample] = []
        outcomes: list[Outcome] = []
        description = task.description
        last: Sample | None = None
        parents: tuple[str, ...] = ()
        for step in range(cfg.iterations):
            codes = await session.write_codes(
                task,
                description,
                code_sampling,
                step=step,
                n=cfg.codes_per_iteration,
                parents=parents,
            )
            verdicts = await session.verify(task, codes)
            samples += codes
            outcomes += verdicts
            kept = kept_state(Group(task, codes, verdicts).passing())
            last = kept or last
            if step == cfg.iterations - 1:
                break
            if not codes:  # no room for one: the chain goes on from where it began
                description, parents = task.description, ()
            for source, origin in self._sources(task, kept, last):
                said = await session.write_description(
                    task, source, description_sampling, step=step, parents=origin
                )
                if said is not None:
                    samples.append(said)
                    description, parents = said.text, (said.sample_id,)
                    break
        return Group(task, tuple(samples), tuple(outcomes))

    def to_score(self, group: Group) -> Sequence[Sample]:
        """The pool, with the codes that `dedup` leaves out."""
        return pool(group)

    def question(self, sample: Sample, group: Group) -> ScoreItem:
        """Perplexity under the prompt that drew the code, or under the original description's."""
        if self.config.condition == "generating":
            return super().question(sample, group)
        prompt = style_of_group(group).code(group.task, group.task.description)
        return ScoreItem(sample.sample_id, prompt, whole_answer(sample))

    def select(self, group: Group, random: Random) -> Sequence[Row]:
        """Gold, and K codes with replacement by softmax(T * perplexity), under the original d_i."""
        gold = gold_rows(group, self.name)
        if not (codes := self._pool(group)):
            return gold
        prompt = style_of_group(group).code(group.task, group.task.description)
        rng = np.random.default_rng(random.getrandbits(64))
        picks = draw(self.weights_of(codes, group), self.config.selected_per_task, rng)[0]
        return [*gold, *(sample_example(prompt, codes[pick], group) for pick in picks)]

    def _pool(self, group: Group) -> list[Sample]:
        return scored_pool(group, self.config.dedup)

    def weights_of(self, codes: Sequence[Sample], group: Group) -> Reals:
        """The weights by which codes of a group are drawn: softmax(T * perplexity)."""
        perplexities = [group.scores[code.sample_id].perplexity for code in codes]
        return weights(perplexities, self.config.tail)

    def measure(
        self, chosen: Iterable[tuple[Group, Sequence[Row]]], seed: int
    ) -> Mapping[str, float]:
        """Means over the tasks with a pool: see `pools.measure`."""
        return measure(chosen, self._pool, self.weights_of)

    def _sources(
        self, task: Task, kept: Sample | None, last: Sample | None
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Codes to describe next, in order of preference, each with the samples it comes from."""
        drawn = kept or (last if self.config.fallback == "last" or not task.reference else None)
        if drawn is not None:
            yield drawn.text, (drawn.sample_id,)
        if task.reference:
            yield task.reference, ()


RECIPE = Gift
