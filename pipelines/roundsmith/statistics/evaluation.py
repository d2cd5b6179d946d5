"""What an evaluation counted: how many samples of each task were drawn and how many solved it."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roundsmith.errors import IncompleteEvaluation
from roundsmith.statistics.bootstrap import Interval, mean_interval
from roundsmith.statistics.pass_at_k import pass_at_k


@dataclass(frozen=True, slots=True)
class TaskCount:
    """One task. Only samples with a resolved verdict are counted (see verdicts.solved)."""

    task_id: str
    num_samples: int
    num_correct: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The counts of all tasks of a split. `num_samples` is how many samples each task must have."""

    counts: tuple[TaskCount, ...]
    num_samples: int

    def only(self, task_ids: Set[str] | None) -> "Evaluation":
        """The counts of these tasks; of all where it is None."""
        if task_ids is None:
            return self
        counts = (count for count in self.counts if count.task_id in task_ids)
        return Evaluation(tuple(counts), self.num_samples)

    def pass_at_k(self, k: int) -> npt.NDArray[np.float64]:
        """pass@k of each task, sorted by task id."""
        ordered = sorted(self.counts, key=lambda count: count.task_id)
        return pass_at_k(
            [count.num_samples for count in ordered], [count.num_correct for count in ordered], k
        )

    def mean(self, k: int) -> float:
        """pass@k over the tasks."""
        return float(self.pass_at_k(k).mean())

    def interval(self, k: int, *, seed: int) -> Interval:
        """The 95 % interval of pass@k over tasks."""
        return mean_interval(self.pass_at_k(k), seed=seed, bounds=(0.0, 1.0))


def refuse_incomplete(evaluations: Sequence[Evaluation]) -> None:
    """Raises IncompleteEvaluation unless all cover the same tasks, once each, with every sample.

    A task that is missing or short of samples would leave the denominator, which none may.
    """
    expected = sorted(count.task_id for count in evaluations[0].counts)
    if not expected:
        raise IncompleteEvaluation(
            "saw an evaluation of no tasks, expected at least one: run again"
        )
    for evaluation in evaluations:
        seen = sorted(count.task_id for count in evaluation.counts)
        if seen != expected or len(set(seen)) < len(seen):
            raise IncompleteEvaluation(
                f"saw {len(seen)} and {len(expected)} tasks, unlike in "
                f"{sorted(set(seen) ^ set(expected))[:5]}; expected the same tasks once: run again"
            )
        for count in evaluation.counts:
            if count.num_samples != evaluation.num_samples:
                raise IncompleteEvaluation(
                    f"task {count.task_id}: saw {count.num_samples} samples with a resolved "
                    f"verdict, expected {evaluation.num_samples}: run again"
                )
