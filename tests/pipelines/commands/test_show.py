"""What a person reads when a round is over."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from roundsmith.commands.show import show, smallest_gain
from roundsmith.report.html import render
from roundsmith.report.summary import Difference, Summary
from tests.pipelines.report.rounds import INPUTS, RESULT, SUMMARY


def shown(summary: Summary, width: int = 200) -> str:
    """What is printed, on a wide terminal."""
    text = StringIO()
    show(summary, Path("round-1"), Console(file=text, width=width))
    return text.getvalue()


def test_the_smallest_gain_is_that_of_a_normal_test_with_the_intervals_error() -> None:
    found = replace(RESULT.pass_at_k["gate"]["1"], ci95=(0.0, 0.0392), num_tasks=400)
    assert smallest_gain(found) == pytest.approx(0.01 * (1.96 + 0.8416), rel=1e-3)
    assert smallest_gain(replace(found, ci95=(0.0, 0.0))) == 0.0


def test_it_is_told_for_each_split_unless_no_answer_changed() -> None:
    assert shown(SUMMARY).count("the smallest gain in pass@1 that 60 tasks detect") == 2
    by_split = {
        split: {k: replace(found, ci95=(0.0, 0.0)) for k, found in by_k.items()}
        for split, by_k in RESULT.pass_at_k.items()
    }
    same = replace(SUMMARY, result=replace(RESULT, pass_at_k=by_split))
    assert "smallest gain" not in shown(same)


def test_tasks_too_few_to_show_any_gain_are_said_to_be() -> None:
    few = replace(RESULT.pass_at_k["gate"]["1"], num_tasks=4)
    printed = shown(replace(SUMMARY, result=replace(RESULT, pass_at_k={"gate": {"1": few}})))
    assert "smallest gain" not in printed
    assert (
        "gate: 4 tasks detect no gain in pass@1, however large: p is 0.12 at the least, more than "
        "0.05; it takes 6 tasks or more" in printed
    )


def test_the_control_and_the_time_are_told_and_the_table_fits_80_columns() -> None:
    over = Difference(-0.01, (-0.025, 0.006), 0.24, "sign-flip permutation")
    one = replace(RESULT.pass_at_k["final"]["1"], over_control=over)
    widest = replace(one, ci95=(-1.0, 1.0), before=0.0, after=1.0, p_value=1 / 100_001)
    by_split = {"gate": RESULT.pass_at_k["gate"], "final": {"1": one, "100": widest}}
    cost = replace(SUMMARY.cost, seconds={"sample": 1100.0, "train": 65.0})
    printed = shown(Summary(replace(RESULT, pass_at_k=by_split), cost), width=80)
    assert "final pass@1 against the control: -1.0 [-2.5, +0.6], p = 0.24" in printed
    assert "final pass@100 against the control: -1.0 [-2.5, +0.6], p = 0.24" in printed
    assert "gate pass@1 against" not in printed
    assert "took 19 min 25 s, expected 1 h 0 min from its last start on" in printed
    (row,) = [line for line in printed.splitlines() if "[-100.0, +100.0]" in line]
    assert row.split()[0] == "final"
    assert row.rstrip().endswith("<= 1e-05")


def test_a_p_value_at_the_floor_reads_the_same_in_terminal_and_report() -> None:
    least = replace(RESULT.pass_at_k["gate"]["1"], p_value=1 / 100_001)
    result = replace(RESULT, pass_at_k={"gate": {"1": least}})
    page = render(replace(INPUTS, summary=replace(SUMMARY, result=result)))
    assert "<= 1e-05" in shown(replace(SUMMARY, result=result))
    assert "&lt;=\u00a01e-05" in page
