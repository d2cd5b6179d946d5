"""Inverse-Instruct: instructions from code (Wu et al., AAAI 2025, arXiv 2407.05700)."""

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import ClassVar, Literal

from pydantic import Field

from roundsmith.recipes import judged
from roundsmith.recipes.contract import (
    Recipe,
    RecipeConfig,
    gold_rows,
    made_example,
    refuse_without_demonstrations,
)
from roundsmith.recipes.judged import Choose, answer_of, snippet
from roundsmith.recipes.session import Session
from roundsmith.recipes.snippets import language_of
from roundsmith.recipes.stage import InverseTuning, Stage
from roundsmith.recipes.styles import empty_group, style_of_group
from roundsmith.types import Group, Row, Sample, Sampling, ScoreItem, Task

OPENERS = ("Write a", "Create a", "Implement a", "Develop a", "Design a", "Build a", "I want a")
"""How instructions begin, as released."""


class InverseInstructConfig(RecipeConfig):
    """Defaults are the paper's and its released code's."""

    candidates: int = Field(10, gt=0)
    """K: instructions of a snippet, each with an opener of its own."""
    openers: tuple[str, ...] = Field(OPENERS, min_length=1)
    """One is drawn uniformly for each candidate; an empty one leaves the beginning to the model."""
    temperature: float = Field(0.8, ge=0)
    repetition_penalty: float = Field(1.1, gt=0)
    max_tokens: int = Field(2048, gt=0)
    p_yes_top_k: int = Field(5, ge=0)
    """The most likely tokens among which Yes and No are looked for; 0 is the exact ratio."""
    choose: Choose = "p_yes"
    """Which candidates are kept; the others are what Table 8 compares with (perplexity is of the
    code given the instruction).
    """
    kept: int = Field(1, gt=0)
    """Candidates of a snippet that are kept (Table 9)."""
    training: InverseTuning = InverseTuning()


class InverseInstruct(Recipe):
    """The model describes the code of each answer of a corpus and judges its own descriptions.

    The writer is the run's model trained on the corpus; the run's model itself is then trained on
    the self-made pairs and, after them, on the corpus. In a later round the promoted checkpoint
    writes. Departures:

    - the tasks of the run are the corpus: their description is the instruction, their reference the
      answer; one with a code head is asked for and judged by the head's own prompts, whose
      description is shown by a demonstration, and trained on its body, not on a fenced block;
    - the words of the requests and the system sentence are ours;
    - decontamination looks for the descriptions and references of the run's own held-out tasks
      where the paper's looks for those of six benchmarks;
    - weights are float32 where the paper's are bfloat16, an epoch runs into the next, and a row
      that is too long is dropped where the paper cuts it.
    """

    Config = InverseInstructConfig
    name = "inverse_instruct"
    config: InverseInstructConfig
    own_writer: ClassVar[bool] = True
    runs_tests: ClassVar[bool] = False
    decontaminates: ClassVar[bool] = True
    scoring: ClassVar[frozenset[str]] = frozenset({"choose", "p_yes_top_k"})
    selecting: ClassVar[frozenset[str]] = frozenset({"kept"})

    def check(self, tasks: Sequence[Task]) -> None:
        """Code with a head is described after the example of another task."""
        if any(task.head for task in tasks):
            refuse_without_demonstrations(tasks, self.name)

    @property
    def draws_per_task(self) -> int:
        """K."""
        return self.config.candidates

    @property
    def rows_per_task(self) -> int:
        """The kept candidates."""
        return self.config.kept

    async def sample(self, task: Task, session: Session) -> Group:
        """K instructions for the code of the task's answer; none for an answer without code."""
        cfg, block = self.config, snippet(task)
        if block is None:
            return empty_group(task, session.style)
        sampling = Sampling(
            cfg.max_tokens,
            cfg.temperature,
            repetition_penalty=cfg.repetition_penalty,
            stop=session.style.problem_stops(task),
        )
        said = [
            await session.write_problem(
                task, block, self._opener(task, block, k, session), sampling, step=k
            )
            for k in range(cfg.candidates)
        ]
        found = tuple(sample for sample in said if sample is not None)
        return Group(task, found) if found else empty_group(task, session.style)

    def _opener(self, task: Task, block: str, k: int, session: Session) -> str:
        """One of the openers, with the language of the snippet where it is told."""
        opener = session.random(task, "opener", session.round, k).choice(self.config.openers)
        language = language_of(block) if opener and not task.head else ""
        return f"{opener} {language}".strip()

    def to_score(self, group: Group) -> Sequence[Sample]:
        """Every candidate, unless they are chosen by chance."""
        return () if self.config.choose == "random" else group.samples

    def question(self, sample: Sample, group: Group) -> ScoreItem:
        """P(yes) that the code answers the instruction, or the code's perplexity under it."""
        cfg, answer = self.config, answer_of(group.task, style_of_group(group))
        return judged.question(sample, group, sample.text, answer, cfg.choose, cfg.p_yes_top_k)

    def select(self, group: Group, random: Random) -> Sequence[Row]:
        """The corpus's own pair, and the best instructions of its code, each with the code."""
        style, task = style_of_group(group), group.task
        best = [
            made_example(style.code(task, sample.text), answer_of(task, style), group, sample)
            for sample in judged.best(group, self.config.choose, self.config.kept, random)
        ]
        return [*gold_rows(group, self.name), *best]

    def measure(
        self, chosen: Iterable[tuple[Group, Sequence[Row]]], seed: int
    ) -> Mapping[str, float]:
        """Answers with code, and the mean P(yes) of all candidates and of those kept."""
        return judged.measure(chosen)

    def writer_stages(self) -> Sequence[Stage]:
        """The writer learns the corpus."""
        return (self._stage("gold"),)

    def stages(self) -> Sequence[Stage]:
        """Self-made pairs, then the corpus: the weak data first."""
        stages = (self._stage("selected"), self._stage("gold"))
        return stages if self.config.training.order == "self_made_first" else stages[::-1]

    def _stage(self, part: Literal["selected", "gold"]) -> Stage:
        tuning = self.config.training
        common = tuning.model_dump(exclude={"self_made_epochs", "order"})
        epochs = tuning.epochs if part == "gold" else tuning.self_made_epochs
        return Stage.model_validate(common | {"part": part, "epochs": epochs})


RECIPE = InverseInstruct
