"""What is wrong with a task file, row by row."""

from collections.abc import Sequence
from dataclasses import dataclass

from roundsmith.errors import ConfigError

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one row. `line` counts lines of JSONL, else rows, from 1."""

    file: str
    line: int
    field: str
    seen: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " + (f"{self.field}: " if self.field else "")
        return f"{where}saw {self.seen}, expected {self.expected}"


class BadField(Exception):
    """Raised while one row is read, caught where its file and line are known."""

    def __init__(self, field: str, seen: str, expected: str) -> None:
        super().__init__(f"{field}: saw {seen}, expected {expected}")
        self.field = field
        self.seen = seen
        self.expected = expected

    def at(self, file: str, line: int) -> Problem:
        """The same with its place."""
        return Problem(file, line, self.field, self.seen, self.expected)


def shown(value: object, limit: int = 80) -> str:
    """A value as a message quotes it: its repr, cut at `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def refuse(problems: Sequence[Problem]) -> ConfigError:
    """The error that refuses a file wholesale, with its first problems listed."""
    rows = len({(problem.file, problem.line) for problem in problems})
    lines = [str(problem) for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"... and {len(problems) - SHOWN} more")
    return ConfigError(
        f"{rows} bad task row(s):\n  "
        + "\n  ".join(lines)
        + "\nmend the rows, or leave them out with --skip-bad-rows"
    )
