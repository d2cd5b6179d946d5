"""BigCodeBench: functions that use libraries, judged by the benchmark's own unittest classes.

All tasks are `final`. The head is the complete prompt up to the def line, with its imports; prose
and example come from the docstring, as for HumanEval. Only tasks whose libraries the executor's
profile has can pass: `scientific` has numpy and pandas.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.heads import defined_names, parse
from roundsmith.benchmarks.humaneval import described_head
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import checked
from roundsmith.types import OwnLimits, Split, Task, UnittestTest

LICENCE = "Apache-2.0"
LIMITS = OwnLimits(cpu_s=10.0)
Filled = Annotated[str, Field(min_length=1)]


class BigCodeBenchRow(BaseModel):
    """What we read of a row."""

    model_config = ConfigDict(frozen=True, strict=True)

    task_id: Filled
    complete_prompt: Filled
    canonical_solution: Filled
    test: Filled
    entry_point: Filled
    libs: str = ""


def is_bigcodebench(fields: Fields) -> bool:
    """Whether a row has the fields that only BigCodeBench has."""
    return {"complete_prompt", "canonical_solution", "test"} <= fields.keys()


def bigcodebench_task(fields: Fields) -> Task:
    """One row as a task with one test, its classes. Raises BadField."""
    row = checked(BigCodeBenchRow, fields)
    arranged, description, example = described_head(
        row.complete_prompt + row.canonical_solution, row.entry_point
    )
    if not defined_names(parse(row.test, "test")):
        raise BadField("test", shown(row.test), "a unittest.TestCase")
    return Task(
        task_id=row.task_id,
        split=Split.FINAL,
        description=description,
        head=arranged.head,
        entry_point=row.entry_point,
        tests=(UnittestTest("unittest", row.test.strip(), LIMITS),),
        reference=arranged.reference,
        example=example,
        source="bigcodebench",
        licence=LICENCE,
        meta={"libs": row.libs},
    )
