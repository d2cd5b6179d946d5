"""DS-1000, in the rows of its simplified release: statements that use libraries, all `final`.

The prompt is the published one. Its test code runs the program's text, so that program and test
share a process, as in DS-1000 itself: what is printed behind the test says that it came to its end,
but a hostile program could print it too. Programs run in the profile `scientific`, which has numpy
and pandas: tasks of the five other libraries can not pass. 60 s of CPU time, where DS-1000 gives
120 s by the clock.

A prompt writes no test out: it tells an input and what is wanted of it in words, tables or the code
that the answer goes on from, and what is right is made by the row's own code, for all inputs in one
function. So the strict score is the other, though one of the inputs may be the prompt's.
"""

import json

from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.heads import defined_names, parse
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import Filled, PublishedRow, checked
from roundsmith.benchmarks.verbatim import (
    AS_TEXT,
    BELOW,
    FENCE,
    PROFILE,
    PROMPT,
    SCIENTIFIC,
    STOPS,
    passed_word,
)
from roundsmith.types import OwnLimits, Split, StdioTest, Task

LICENCE = "CC-BY-SA-4.0"
LIMITS = OwnLimits(cpu_s=60.0, memory_bytes=2**30)
SOLUTION = "_solution"
ENDS = ("</code>", "# SOLUTION END", "\nEND SOLUTION")
_RUN = """
import contextlib as _contextlib, io as _io
with _contextlib.redirect_stdout(_io.StringIO()):
{calls}
print({word!r})
"""


class Metadata(PublishedRow):
    """What we read of a row's `metadata`."""

    problem_id: int
    library: Filled
    perturbation_type: str = ""


class Ds1000Row(PublishedRow):
    """What we read of a row."""

    prompt: Filled
    reference_code: Filled
    code_context: Filled
    metadata: Metadata


def is_ds1000(fields: Fields) -> bool:
    """Whether a row has the fields that only DS-1000 has."""
    return {"code_context", "reference_code"} <= fields.keys()


def ds1000_task(fields: Fields) -> Task:
    """One row as a task with one test. Raises BadField."""
    row = checked(Ds1000Row, fields)
    tests = [
        name
        for name in defined_names(parse(row.code_context, "code_context"))
        if name in ("test_execution", "test_string")
    ]
    if "test_execution" not in tests:
        raise BadField("code_context", shown(row.code_context), "a function test_execution(code)")
    task_id = f"ds1000/{row.metadata.problem_id}"
    word = passed_word(task_id)
    calls = "\n".join(f"    {name}({SOLUTION})" for name in tests)
    return Task(
        task_id=task_id,
        split=Split.FINAL,
        description=_problem(row.prompt),
        head="",
        entry_point="",
        tests=(StdioTest("test_execution", "", word, limits=LIMITS),),
        reference=row.reference_code,
        source="ds-1000",
        licence=LICENCE,
        meta={
            "library": row.metadata.library,
            "perturbation": row.metadata.perturbation_type,
            PROFILE: SCIENTIFIC,
            PROMPT: row.prompt,
            FENCE: "python",
            STOPS: json.dumps(ENDS),
            AS_TEXT: SOLUTION,
            BELOW: row.code_context + _RUN.format(calls=calls, word=word),
        },
    )


def _problem(prompt: str) -> str:
    """The words of a prompt up to its answer, which is begun in code."""
    return prompt.removeprefix("Problem:").rpartition("\nA:\n")[0].strip() or prompt.strip()
