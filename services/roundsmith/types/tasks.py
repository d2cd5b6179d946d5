"""Tasks and the tests that say when a program solves one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# A Python value that may cross the wire: None, bool, int, float, str, bytes, list, tuple, set,
# frozenset, dict of such values. A recursive alias can not be checked by isinstance;
# `wire.to_value` refuses anything else.
Value = Any


class Split(StrEnum):
    """Train feeds the round; gate decides promotion and settings; final is looked at once, at the
    end.
    """

    TRAIN = "train"
    GATE = "gate"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """Limits of one test or one program, as `Limits` names them; None is the item's.

    Where a test and a program both say one, the smaller holds.
    """

    cpu_s: float | None = None
    memory_bytes: int | None = None
    output_bytes: int | None = None
    file_bytes: int | None = None
    processes: int | None = None
    wall_factor: float | None = None


class OutputRule(StrEnum):
    """How printed output is compared."""

    LINES = "lines"
    """Line by line; white space at the ends of lines and of the whole is not compared."""
    TOKENS = "tokens"
    """Word by word, whatever white space is between them."""
    EXACT = "exact"
    """Character by character."""


@dataclass(frozen=True, slots=True)
class CallTest:
    """Call `entry_point(*args, **kwargs)`; the result must equal `expected` by type and value.

    `tolerance` is absolute, `relative_tolerance` a share of the expected value, both for floats at
    any depth; what either allows is close enough.
    """

    test_id: str
    entry_point: str
    args: tuple[Value, ...]
    expected: Value
    kwargs: Mapping[str, Value] = field(default_factory=dict)
    tolerance: float | None = None
    relative_tolerance: float | None = None
    limits: OwnLimits | None = None


@dataclass(frozen=True, slots=True)
class AssertTest:
    """Python statements that run after the program; they pass when none raises."""

    test_id: str
    source: str
    limits: OwnLimits | None = None


@dataclass(frozen=True, slots=True)
class UnittestTest:
    """`unittest.TestCase` classes that run after the program; they pass when every method does."""

    test_id: str
    source: str
    limits: OwnLimits | None = None


@dataclass(frozen=True, slots=True)
class StdioTest:
    """Run the program as a script with `stdin`; its standard output must equal `stdout` by `rule`.

    The tolerances are those of a call test, for words that are numbers, with the rule TOKENS only.
    """

    test_id: str
    stdin: str
    stdout: str
    rule: OutputRule = OutputRule.LINES
    tolerance: float | None = None
    relative_tolerance: float | None = None
    limits: OwnLimits | None = None


Test = CallTest | AssertTest | UnittestTest | StdioTest


@dataclass(frozen=True, slots=True)
class Task:
    """One problem. `head` is the code head: imports and signature, up to and including the first
    def line.
    """

    task_id: str
    split: Split
    description: str
    head: str
    entry_point: str
    tests: tuple[Test, ...]
    reference: str | None = None
    setup: str = ""
    """Python that runs before the program in every test (imports); never shown to the model."""
    example: str | None = None
    """One solved call, doctest style, which a prompt may show, or None."""
    source: str = ""
    licence: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)
