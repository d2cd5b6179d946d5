"""What a person reads when a round is over."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from roundsmith.commands.run import show, smallest_gain
from roundsmith.report.summary import Summary
from tests.pipelines.report.rounds import RESULT, SUMMARY


def shown(summary: Summary) -> str:
    """What is printed, on a wide terminal."""
    text = StringIO()
    show(summary, Path("round-1"), Console(file=text, width=200))
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
