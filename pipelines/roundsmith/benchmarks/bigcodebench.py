"""BigCodeBench: functions that use libraries, judged by the benchmark's own unittest classes.

All tasks are `final`. The head is the complete prompt up to the def line, with its imports; prose
and example come from the docstring, as for HumanEval. Programs run in the profile `scientific`,
which has numpy and pandas; tasks that use other libraries can not pass. Methods whose calls the
prompt shows are a test of their own, `shown`.
"""

from roundsmith.benchmarks.asserted_classes import parted_classes
from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.heads import defined_names, parse
from roundsmith.benchmarks.humaneval import described_task
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import Filled, FunctionRow, checked
from roundsmith.benchmarks.verbatim import PROFILE, SCIENTIFIC
from roundsmith.types import OwnLimits, Task, UnittestTest

LICENCE = "Apache-2.0"
LIMITS = OwnLimits(cpu_s=10.0)


class BigCodeBenchRow(FunctionRow):
    """What we read of a row."""

    complete_prompt: Filled
    test: Filled
    libs: str = ""


def is_bigcodebench(fields: Fields) -> bool:
    """Whether a row has the fields that only BigCodeBench has."""
    return {"complete_prompt", "canonical_solution", "test"} <= fields.keys()


def bigcodebench_task(fields: Fields) -> Task:
    """One row as a task whose tests are its classes. Raises BadField."""
    row = checked(BigCodeBenchRow, fields)
    if not defined_names(parse(row.test, "test")):
        raise BadField("test", shown(row.test), "a unittest.TestCase")
    tests = (
        UnittestTest(name, source, LIMITS)
        for name, source in parted_classes(row.test.strip(), row.entry_point, row.complete_prompt)
    )
    meta = {"libs": row.libs, PROFILE: SCIENTIFIC}
    return described_task(row, row.complete_prompt, tests, "bigcodebench", LICENCE, meta)
