"""What a recipe is: settings, how it samples, what it scores, a pure choice, and how to train.

A recipe is one module with a class, named by the module's `RECIPE`. It asks services through a
`Session` and never touches files, processes or the network itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from roundsmith.config import Settings
from roundsmith.errors import UnfitTasks
from roundsmith.recipes.identities import example_id, pair_id
from roundsmith.recipes.session import Session
from roundsmith.recipes.stage import Stage, Tuning
from roundsmith.recipes.styles import joined_answer, style_of_group, whole_answer
from roundsmith.types import (
    Example,
    Group,
    Limits,
    Pair,
    Prompt,
    Provenance,
    Row,
    Sample,
    ScoreItem,
    Task,
)


class RecipeConfig(Settings):
    """Settings that every recipe has; no number of a recipe may be infinite or no number."""

    model_config = ConfigDict(allow_inf_nan=False)

    style: Literal["auto", "completion", "chat"] = "auto"
    """`auto` is chat for a model with a chat template."""
    cpu_s: float = Field(5.0, gt=0)
    """CPU seconds that a program may take for one test (GiFT: 5 s of wall time for a program)."""
    training: Tuning = Tuning()


class Recipe:
    """The base of every recipe; `select` has no default."""

    Config: ClassVar[type[RecipeConfig]] = RecipeConfig
    name: ClassVar[str]
    has_control: ClassVar[bool] = True
    """Whether there are gold rows beside others, so that training on them alone tells something."""
    own_writer: ClassVar[bool] = False
    """Whether the run's model is first trained on the gold rows to write, by `writer_stages`, and
    the checkpoint then comes from the run's model again.
    """
    on_train: ClassVar[bool] = False
    """Whether the last round also looks at the training tasks, before and after."""
    runs_tests: ClassVar[bool] = True
    """Whether its training tasks must have tests and a code head."""
    decontaminates: ClassVar[bool] = False
    """Whether rows that hold the text of a held-out task are dropped before training."""
    scoring: ClassVar[frozenset[str]] = frozenset()
    """Settings that `sample` does not read: with another value the same samples are scored."""
    selecting: ClassVar[frozenset[str]] = frozenset()
    """Settings that `select` alone reads: with another value the same samples are chosen from."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The recipe with these settings over its defaults; pydantic's ValidationError on a bad
        one.
        """
        return cls(cls.Config.model_validate(config))

    @property
    def limits(self) -> Limits:
        """What one run of a sampled program may use."""
        return Limits(cpu_s=self.config.cpu_s)

    @property
    def demonstrates(self) -> bool:
        """Whether `sample` shows the model other tasks' references (`session.demonstration`), so
        that a task more may change what others draw; where not, the session has none to show.
        """
        return True

    @property
    def needs_references(self) -> bool:
        """Whether nothing comes of training tasks without any reference, which are then refused
        before a model is loaded: by default where a stage, or the writer, trains on gold rows.
        """
        stages = (*self.writer_stages(), *self.stages())
        return self.own_writer or any(stage.part == "gold" for stage in stages)

    @property
    def draws_per_task(self) -> int:
        """Samples that are drawn for one task at most, for forecasts of time and cost."""
        return 1

    @property
    def rows_per_task(self) -> int:
        """Rows that `select` takes of one task at most beside its gold row, for forecasts."""
        return 1

    def check(self, tasks: Sequence[Task]) -> None:
        """Refuse training tasks that it can not work on, by UnfitTasks, before a model is
        loaded.
        """

    async def sample(self, task: Task, session: Session) -> Group:
        """Draw for one task and run what was drawn."""
        raise NotImplementedError

    def measuring(self, group: Group) -> int:
        """Executions of a group that no choice reads: they are there for `measure` alone, and no
        part of what the method costs.
        """
        return 0

    def to_score(self, group: Group) -> Sequence[Sample]:
        """The samples whose score `select` needs."""
        return ()

    def question(self, sample: Sample, group: Group) -> ScoreItem:
        """What the scorer is asked of a sample: its perplexity under the prompt that drew it."""
        return ScoreItem(sample.sample_id, sample.prompt, whole_answer(sample))

    def select(self, group: Group, random: Random) -> Sequence[Row]:
        """The training rows of a group: a function of its arguments alone."""
        raise NotImplementedError

    def measure(
        self, chosen: Iterable[tuple[Group, Sequence[Row]]], seed: int
    ) -> Mapping[str, float]:
        """What the summary tells of a choice, by name, from all groups with their rows; `seed` is
        the run's, from which each `select` had its random numbers.
        """
        return {}

    def writer_stages(self) -> Sequence[Stage]:
        """How the writer is trained, where the recipe has its own."""
        return ()

    def stages(self) -> Sequence[Stage]:
        """How to train on the rows, in order."""
        return (Stage.of(self.config.training),)


def gold_example(task: Task, prompt: Prompt, completion: str, recipe: str) -> Example:
    """The row that imitates the task's own reference."""
    provenance = Provenance(
        task_id=task.task_id, recipe=recipe, round=0, source=task.source, licence=task.licence
    )
    return _example(prompt, completion, provenance)


def refuse_without_demonstrations(tasks: Sequence[Task], recipe: str) -> None:
    """Raises UnfitTasks where code can not be described after the example of another task."""
    described = {task.description for task in tasks if task.reference is not None}
    if len(described) < 2:
        raise UnfitTasks(
            f"{recipe}: saw {len(described)} training task{'s' * (len(described) != 1)} with a "
            "reference and a description of its own, expected at least two, because a code is "
            "described after the example of another task: give more tasks, raise --limit, add "
            "references, or use `--recipe rft`"
        )


def gold_rows(group: Group, recipe: str) -> list[Example]:
    """The row that imitates the reference of a group's task, or none where it has none."""
    task, style = group.task, style_of_group(group)
    if task.reference is None:
        return []
    return [gold_example(task, style.code(task, task.description), style.gold(task), recipe)]


def sample_example(prompt: Prompt, sample: Sample, group: Group) -> Example:
    """The row that imitates a sample's whole answer, under a prompt that need not be the one that
    drew it.
    """
    return _example(prompt, whole_answer(sample), _origin(group, sample))


def made_example(prompt: Prompt, completion: str, group: Group, sample: Sample) -> Example:
    """The row of a completion that a sample, such as its description, was made for."""
    return _example(prompt, completion, _origin(group, sample))


def made_pair(group: Group, chosen: Sequence[Sample], rejected: Sequence[Sample]) -> Pair:
    """The preference of one answer over another: each is a code, joined with the tests that follow
    it.
    """
    origin = _origin(group, *chosen, *rejected)
    prompt = chosen[0].prompt
    better, worse = (joined_answer(*side) for side in (chosen, rejected))
    return Pair(pair_id(prompt, better, worse, origin), prompt, better, worse, origin)


def _origin(group: Group, first: Sample, *others: Sample) -> Provenance:
    """Where a row comes from that was made of samples, as the first of them tells."""
    seen = [o for o in group.outcomes if o.code_id == first.sample_id]
    return replace(
        first.provenance,
        parents=tuple(sample.sample_id for sample in (first, *others)),
        tier=seen[0].tier if seen else "",
        image=seen[0].image if seen else "",
    )


def _example(prompt: Prompt, completion: str, origin: Provenance) -> Example:
    return Example(example_id(prompt, completion, origin), prompt, completion, origin)
