"""What a person wants to know when a round is over, in 80 columns."""

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

from rich import box
from rich.console import Console
from rich.table import Table

from roundsmith.report.summary import Cost, PassAtK, Range, Result, Summary
from roundsmith.report.words import duration
from roundsmith.statistics import (
    fewest_tasks,
    least_p_value,
    p_equals,
    p_words,
    smallest_difference,
)

ALPHA = 0.05
"""The error rate at which a detectable gain is told."""


def show(
    summary: Summary, folder: Path | str, console: Console, taken_back: str | None = None
) -> None:
    """Prints the table of pass@k, what the control says of it, the gate's word and the time;
    `taken_back` is why the promotion was taken back, where it was.
    """
    result = summary.result
    console.print(_table(result))
    for line in (*_over_control(result), *_smallest_gains(result)):
        console.print(line)
    word = "promoted" if result.promoted else "not promoted"
    reasons = "; ".join(result.gate.reasons) if result.gate else ""
    console.print(f"checkpoint {word}: {reasons}")
    if taken_back is not None:
        why = f": {taken_back}" if taken_back else ""
        console.print(f"its promotion was taken back{why}", markup=False)
    for line in _costs(summary.cost):
        console.print(line)
    console.print(f"report: {folder}/report.html")


def _costs(cost: Cost) -> Iterator[str]:
    left = cost.estimate
    expected = f", expected {duration(left.seconds)} from its last start on" if left else ""
    price = "" if cost.price is None else f", price {cost.price:.2f}"
    yield f"took {duration(sum(cost.seconds.values()))}{expected}{price}"
    units = (("a selected row", cost.per_selected_row), ("a point of pass@1", cost.per_point))
    for name, one in units:
        if one is not None:
            price = "" if one.price is None else f", price {one.price:.4f}"
            yield f"{name}: {duration(one.seconds)}{price}"


def smallest_gain(found: PassAtK) -> float | None:
    """The smallest true gain that a two-sided test at 5 % finds with probability 0.8, judged by the
    interval of the gain that was seen; None where it finds none, 0.0 where that interval has no
    width, which tells nothing.
    """
    low, high = found.ci95
    standard_error = (high - low) / (2 * NormalDist().inv_cdf(0.975))
    return smallest_difference(
        found.num_tasks, standard_error * math.sqrt(found.num_tasks), alpha=ALPHA
    )


def _table(result: Result) -> Table:
    table = Table(
        title=f"round {result.round}: {result.recipe} on {result.model}, pass@k in %",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in ("split", "k", "tasks", "before", "control", "after", "gain", "95 %", "p"):
        table.add_column(column, justify="left" if column == "split" else "right", no_wrap=True)
    for split, k, found in _measured(result):
        table.add_row(
            split,
            k,
            str(found.num_tasks),
            f"{100 * found.before:.1f}",
            "" if found.control is None else f"{100 * found.control:.1f}",
            f"{100 * found.after:.1f}",
            f"{100 * (found.after - found.before):+.1f}",
            _interval(found.ci95),
            p_words(found.p_value),
        )
    return table


def _over_control(result: Result) -> Iterator[str]:
    for split, k, found in _measured(result):
        if over := found.over_control:
            yield (
                f"{split} pass@{k} against the control: {100 * over.difference:+.1f} "
                f"{_interval(over.ci95)}, {p_equals(over.p_value)}"
            )


def _smallest_gains(result: Result) -> Iterator[str]:
    for split, k, found in _measured(result):
        tasks, smallest = found.num_tasks, smallest_gain(found) if k == "1" else 0.0
        if smallest:
            yield (
                f"{split}: the smallest gain in pass@1 that {tasks} tasks detect "
                f"four times in five is {100 * smallest:.1f} points"
            )
        elif smallest is None:
            yield f"{split}: {tasks} tasks detect no gain in pass@1, {_why_none(tasks)}"


def _why_none(tasks: int) -> str:
    if tasks >= fewest_tasks(ALPHA):
        return "however large, four times in five: their answers change too much both ways"
    return (
        f"however large: p is {p_words(least_p_value(tasks))} at the least, more than {ALPHA}; it "
        f"takes {fewest_tasks(ALPHA)} tasks or more"
    )


def _measured(result: Result) -> Iterator[tuple[str, str, PassAtK]]:
    for split, by_k in result.pass_at_k.items():
        for k, found in by_k.items():
            yield split, k, found


def _interval(ends: Range) -> str:
    low, high = ends
    return f"[{100 * low:+.1f}, {100 * high:+.1f}]"
