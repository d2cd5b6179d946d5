"""A finished round as a report gets it, with numbers from real evaluations."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from roundsmith.report.curves import LossPoint
from roundsmith.report.html import ReportInputs, SampleRow
from roundsmith.report.measure import gate, measured
from roundsmith.report.summary import Cost, Result, StepCost, Summary, UnitCost
from roundsmith.statistics import Evaluation, TaskCount, decide

Value = TypeVar("Value")


def turned_around(items: Mapping[str, Value]) -> dict[str, Value]:
    """The same mapping, filled in the other order."""
    return dict(reversed(list(items.items())))


def evaluation(correct: list[int], num_samples: int = 4) -> Evaluation:
    counts = tuple(TaskCount(f"t{i:03}", num_samples, c) for i, c in enumerate(correct))
    return Evaluation(counts, num_samples)


BEFORE = evaluation([i % 3 for i in range(60)])
AFTER = evaluation([i % 3 + 1 for i in range(60)])
CONTROL = evaluation([i % 3 + (i % 5 == 0) for i in range(60)])
DECISION = decide(BEFORE, AFTER, alpha=0.05, planned_rounds=2, seed=1)

RESULT = Result(
    recipe="gift",
    preset="lab",
    model="the lab's base",
    seed=7,
    round=1,
    tasks="lab",
    tasks_sha256="a" * 64,
    weights_sha256="b" * 64,
    pass_at_k={
        "gate": {"1": measured(BEFORE, AFTER, None, k=1, seed=1)},
        "final": {str(k): measured(BEFORE, AFTER, CONTROL, k=k, seed=1) for k in (4, 1)},
    },
    funnel={"samples": 480, "passing": 200, "rows": 90},
    verdicts={"PASS": 200, "FAIL": 250, "ERROR": 30},
    tokens={"trained": 9000, "sampled": 12_345},
    executions=1920,
    selection={"pairs": 40.0, "minimax: label noise": 0.125},
    promoted=DECISION.promoted,
    gate=gate(DECISION),
    checkpoint="checkpoint",
    checkpoint_sha256="c" * 64,
)
TOKENS = {"prompt": 10, "sampled": 12_345, "scored": 0, "trained": 0}
COST = Cost(
    {"sample": 61.5, "train": 3700.0},
    2,
    {"machine": "2 cores"},
    price=1.25,
    steps={"sample": StepCost(61.5, 40.0, 0.0, TOKENS, 1920, 4096, 0.25)},
    per_selected_row=UnitCost(0.7, 0.0, 0.01),
    estimate=UnitCost(3600.0, 0.0, 1.0),
)
SUMMARY = Summary(RESULT, COST)
SAMPLE = SampleRow("d" * 64, "lab/1", "Add up.", "def solve(x):\n    return 1", "PASS", 1.5, True)
INPUTS = ReportInputs(
    summary=SUMMARY,
    perplexities_all=tuple(1 + i / 10 for i in range(50)),
    perplexities_selected=(2.0, 3.5, 3.6),
    loss_curve=tuple(LossPoint(i, 2 / i) for i in range(1, 30)),
    control_loss_curve=tuple(LossPoint(i, 1.5 / i) for i in range(1, 30)),
    samples=(SAMPLE, replace(SAMPLE, verdict="FAIL", perplexity=None, selected=False)),
)
