"""HumanEval+ and MBPP+ as EvalPlus releases them: inputs, and a reference that says what is right.

All tasks are `final`. A test is a batch of inputs: the reference and the program are called with
each, and the results compared by EvalPlus' rules (`evalplus_rules`). The ids of tests say which
inputs are the benchmark's own (`base`, and `shown` where the prompt shows the call) and which are
added (`plus`). The reference runs in the test process, never beside the program.

Where this differs from EvalPlus: time is bounded for a batch, not for each input.
"""

import ast
from collections.abc import Sequence
from itertools import compress
from operator import not_
from typing import Annotated, Any

from pydantic import Field

from roundsmith.benchmarks import evalplus_rules, mbpp
from roundsmith.benchmarks.asserted import Told
from roundsmith.benchmarks.evalplus_inputs import as_called
from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.heads import arrange, parse
from roundsmith.benchmarks.humaneval import LICENCE, described_task
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import Filled, FunctionRow, checked
from roundsmith.types import AssertTest, OwnLimits, Split, Task

INPUTS_A_TEST = 20
LIMITS = OwnLimits(cpu_s=20.0)
"""For a test, its reference's time included. EvalPlus gives each input a second at least, and four
times what the reference takes.
"""


class EvalPlusRow(FunctionRow):
    """What we read of a row."""

    prompt: Filled
    base_input: list[list[Any]]
    plus_input: list[list[Any]]
    atol: Annotated[float, Field(ge=0, strict=False)] = 0.0


def is_evalplus(fields: Fields) -> bool:
    """Whether a row has the fields that only EvalPlus' releases have."""
    return {"base_input", "plus_input"} <= fields.keys()


def evalplus_task(fields: Fields) -> Task:
    """One row of either benchmark as a task. Raises BadField."""
    row = checked(EvalPlusRow, fields)
    if not row.base_input:
        raise BadField("base_input", "no inputs", "at least one")
    return _mbpp_plus(row) if row.task_id.lower().startswith("mbpp/") else _humaneval_plus(row)


def _humaneval_plus(row: EvalPlusRow) -> Task:
    tests = _tests(row, row.prompt + row.canonical_solution)
    return described_task(row, row.prompt, tests, "humaneval-plus", LICENCE)


def _mbpp_plus(row: EvalPlusRow) -> Task:
    prose, _, asserted = _text(row).partition("\nassert ")
    arranged = arrange(row.canonical_solution, row.entry_point, frozenset(), "canonical_solution")
    return Task(
        task_id=row.task_id,
        split=Split.FINAL,
        description=prose.strip(),
        head=arranged.head,
        entry_point=row.entry_point,
        tests=_tests(row, row.canonical_solution),
        reference=arranged.reference,
        example=mbpp.example(f"assert {asserted}") if asserted else None,
        source="mbpp-plus",
        licence=mbpp.LICENCE,
    )


def _text(row: EvalPlusRow) -> str:
    """The prompt's words: it is one docstring and nothing else."""
    body = parse(row.prompt, "prompt").body
    match body:
        case [ast.Expr(value=ast.Constant(value=str(text)))]:
            return text.strip()
    raise BadField("prompt", shown(row.prompt), "one string in triple quotes")


def _tests(row: EvalPlusRow, reference: str) -> tuple[AssertTest, ...]:
    base = [as_called(row.task_id, arguments) for arguments in row.base_input]
    plus = [as_called(row.task_id, arguments) for arguments in row.plus_input]
    told = Told(row.prompt)
    seen = [told.shows(row.entry_point, arguments) for arguments in base]
    return (
        *_batches("shown", row, list(compress(base, seen)), reference),
        *_batches("base", row, list(compress(base, map(not_, seen))), reference),
        *_batches("plus", row, plus, reference),
    )


def _batches(
    name: str, row: EvalPlusRow, called: Sequence[list[Any]], reference: str
) -> list[AssertTest]:
    starts = range(0, len(called), INPUTS_A_TEST)
    return [
        AssertTest(
            f"{name}-{at}",
            evalplus_rules.source(
                row.entry_point, reference, called[at : at + INPUTS_A_TEST], row.atol
            ),
            LIMITS,
        )
        for at in starts
    ]
