"""What is told of work as it goes on, where no terminal is."""

from collections.abc import Callable
from io import StringIO

from rich.console import Console

from roundsmith.commands.progress import ProgressView


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
