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


class BadRow(Exception):
    """Raised while one row is read, caught where its file and line are known."""

    def __init__(self, fields: "Sequence[BadField]") -> None:
        super().__init__(
            "; ".join(f"{b.field}: saw {b.seen}, expected {b.expected}" for b in fields)
        )
        self.fields = fields

    def at(self, file: str, line: int) -> list[Problem]:
        """Its problems with their place."""
        return [Problem(file, line, bad.field, bad.seen, bad.expected) for bad in self.fields]


class BadField(BadRow):
    """A row with one problem, or what can not be told of others before it is mended."""

    def __init__(self, field: str, seen: str, expected: str) -> None:
        self.field = field
        self.seen = seen
        self.expected = expected
        super().__init__([self])


def shown(value: object, limit: int = 80) -> str:
    """A value as a message quotes it: its repr, cut at `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def num_rows(problems: Sequence[Problem]) -> int:
    """How many rows the problems are of."""
    return len({(problem.file, problem.line) for problem in problems})


def refuse(problems: Sequence[Problem], kind: str = "task") -> ConfigError:
    """The error that refuses a file of rows of a kind wholesale, with its first problems listed."""
    lines = [str(problem) for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"... and {len(problems) - SHOWN} more")
    return ConfigError(
        f"{num_rows(problems)} bad {kind} row(s):\n  "
        + "\n  ".join(lines)
        + "\nmend the rows, or leave them out with --skip-bad-rows"
    )
