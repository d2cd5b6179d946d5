"""What a finished (arm, seed) tells: counts by task, what it trained on, what it spent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roundsmith.recipes.atomic import SET
from roundsmith.reproduce.choice import Tuned
from roundsmith.reproduce.player import Played
from roundsmith.reproduce.steps import executions_of, tokens_of
from roundsmith.statistics import Evaluation
from roundsmith.steps.context import Context
from roundsmith.steps.evaluate import evaluation_of
from roundsmith.steps.inputs import tasks_of
from roundsmith.store import EXAMPLES, Manifest
from roundsmith.types import Split


@dataclass(frozen=True, slots=True)
class Finished:
    """An arm on a seed."""

    arm: str
    seed: int
    model: str
    parts: Mapping[str, Evaluation]
    """By split, split and set, and `train SET trained` for what it was trained on of a set."""
    ks: tuple[int, ...]
    settings: Mapping[str, Any]
    """Of its recipe, which name what it measured."""
    code: str = ""
    """The version of the code that judged it."""
    tuned: Tuned = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    """What its recipe tells of its choice."""
    rows: int = 0
    steps: int = 0
    """Optimizer steps since the base model."""
    tokens: int = 0
    """Sampled and scored, for the rows of all rounds, and for the rewards of the last."""
    executions: int = 0
    """For the rows and the rewards, without those that only measure a choice."""
    sampling_s: float = 0.0
    training_s: float = 0.0
    """Seconds of the last training stage and of the evaluations."""

    def has(self, name: str, on: str) -> bool:
        """Whether there is such a metric."""
        if not name.startswith("pass@"):
            return name.format(**self.settings) in self.measured
        return all(part in self.parts for part in on.split(" - "))

    def metric(self, name: str, on: str) -> float:
        """pass@k on a part or a gap of two, or a number of the choice."""
        if not name.startswith("pass@"):
            return self.measured[name.format(**self.settings)]
        of = [self.parts[part].mean(int(name.removeprefix("pass@"))) for part in on.split(" - ")]
        return of[0] - sum(of[1:])


def finished(context: Context, arm: str, played: Played, tuned: Tuned) -> Finished:
    """Reads what the steps of an arm committed; `context` has the settings of the arm."""
    checkpoint = context.manifest(played.checkpoint)
    pools = [context.manifest(ref) for rows in played.rounds for ref in rows.pool]
    chosen = [context.manifest(rows.rows) for rows in played.rounds]
    looked = [context.manifest(ref) for ref in played.evaluations.values()]
    return Finished(
        arm=arm,
        seed=context.config.seed,
        model=context.config.model,
        parts=dict(_parts(context, played, chosen)),
        ks=played.ks,
        settings=context.recipe.config.model_dump(mode="json"),
        code=looked[0].code_version,
        tuned=tuned,
        measured=chosen[-1].stats.get("measured", {}) if chosen else {},
        rows=num_rows(chosen, checkpoint),
        steps=int(checkpoint.stats.get("total_steps", 0)),
        tokens=sum(map(tokens_of, (*pools, checkpoint))),
        executions=sum(map(executions_of, (*pools, checkpoint))),
        sampling_s=sum(_seconds(manifest) for manifest in pools),
        training_s=sum(_seconds(manifest) for manifest in (checkpoint, *looked)),
    )


def num_rows(chosen: Sequence[Manifest], checkpoint: Manifest) -> int:
    """The rows of all rounds; without a round those that the checkpoint was trained on, as a writer
    is on the corpus: none of the base model.
    """
    if not chosen:
        return int(checkpoint.stats.get("rows", 0))
    return sum(int(manifest.stats["rows"]) for manifest in chosen)


def _parts(
    context: Context, played: Played, chosen: list[Manifest]
) -> Iterator[tuple[str, Evaluation]]:
    task_set = context.manifest(played.tasks)
    trained = {
        row.provenance.task_id for m in chosen for row in context.store.read_all(EXAMPLES, m)
    }
    for split, ref in played.evaluations.items():
        whole = evaluation_of(context, context.manifest(ref))
        tasks = list(tasks_of(context, task_set, Split(split)))
        yield split, whole
        for name in sorted({task.meta[SET] for task in tasks if SET in task.meta}):
            ids = {task.task_id for task in tasks if task.meta.get(SET) == name}
            yield f"{split} {name}", whole.only(ids)
            if split == Split.TRAIN and ids & trained:
                yield f"{split} {name} trained", whole.only(ids & trained)


def _seconds(manifest: Manifest) -> float:
    return float(manifest.cost.get("seconds", 0.0))
