"""What is told of work as it goes on, where no terminal is."""

import time
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from roundsmith.commands import progress
from roundsmith.commands.progress import RATE_AFTER_S, ProgressView


def lines(tell: Callable[[ProgressView], None]) -> list[str]:
    """What the view prints."""
    text = StringIO()
    with ProgressView(Console(file=text, width=200)) as view:
        tell(view)
    return text.getvalue().splitlines()


def test_a_line_says_whose_work_it_is() -> None:
    def tell(view: ProgressView) -> None:
        for whose in ("before", "control", ""):
            view.of(whose)("evaluate final", 3, 3, "")

    assert lines(tell) == [
        "evaluate final (before): 3/3",
        "evaluate final (control): 3/3",
        "evaluate final: 3/3",
    ]


def test_what_was_found_and_what_took_no_time_has_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(view: ProgressView) -> None:
        view("score", 8, 20, "found")
        time.sleep(RATE_AFTER_S)
        view("score", 20, 20, "found")

    def at_once(view: ProgressView) -> None:
        for done in range(1, 21):
            view("score", done, 20, "")

    assert lines(found)[-1] == "score: 20/20 found"
    monkeypatch.setattr(progress, "RATE_AFTER_S", 600.0)  # a busy machine takes time for nothing
    assert lines(at_once)[-1] == "score: 20/20"


def test_how_long_the_rest_takes_is_told_when_a_part_of_it_was_made() -> None:
    def tell(view: ProgressView) -> None:
        view("sample", 0, 200, "")
        view("sample", 96, 200, "found")
        time.sleep(RATE_AFTER_S)
        for done in (97, 110):
            view._printed.clear()
            view("sample", done, 200, "")

    *_, first, later = lines(tell)
    assert first.startswith("sample: 97/200")
    assert "left" not in first
    assert "left" in later


def test_the_rate_is_that_of_what_was_made() -> None:
    def tell(view: ProgressView) -> None:
        view("score", 0, 1003, "")
        view("score", 1000, 1003, "found")
        time.sleep(RATE_AFTER_S)
        view("score", 1003, 1003, "")

    *_, last = lines(tell)
    rate = float(last.removeprefix("score: 1003/1003 ").removesuffix("/s"))
    assert 0 < rate <= 3 / RATE_AFTER_S
