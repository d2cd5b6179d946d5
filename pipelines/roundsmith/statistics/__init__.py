"""What a measurement may claim: pass@k, intervals, paired tests, power and the gate."""

from roundsmith.statistics.auc import auc
from roundsmith.statistics.bootstrap import Interval, mean_interval
from roundsmith.statistics.crossed import Contrast, Part, contrast
from roundsmith.statistics.evaluation import Evaluation, TaskCount
from roundsmith.statistics.gate import GateDecision, Kept, decide
from roundsmith.statistics.holm import Adjusted, Holds, holm, verdict
from roundsmith.statistics.paired import PairedDifference, p_equals, p_words, paired_difference
from roundsmith.statistics.pass_at_k import pass_at_k
from roundsmith.statistics.power import (
    fewest_tasks,
    least_p_value,
    smallest_contrast,
    smallest_difference,
    smallest_difference_of_solved,
)

__all__ = [
    "Adjusted",
    "Contrast",
    "Evaluation",
    "GateDecision",
    "Holds",
    "Interval",
    "Kept",
    "PairedDifference",
    "Part",
    "TaskCount",
    "auc",
    "contrast",
    "decide",
    "fewest_tasks",
    "holm",
    "least_p_value",
    "mean_interval",
    "p_equals",
    "p_words",
    "paired_difference",
    "pass_at_k",
    "smallest_contrast",
    "smallest_difference",
    "smallest_difference_of_solved",
    "verdict",
]
