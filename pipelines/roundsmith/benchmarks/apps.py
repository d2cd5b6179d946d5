"""APPS: problems as scripts or as functions, in the rows of the published data set.

The rows do not say to which half of APPS they belong, so a task's split is that of its id.
Solutions are whole scripts that do not begin with a head of ours, so tasks have no reference: GiFT
and the gold control need other tasks. Printed numbers may differ as numpy's `allclose` allows; 4 s
of CPU time for a test, as its runner gives.

Where this is stricter than APPS: lines in another order, and output printed as a Python list, are
not accepted.
"""

from typing import Any

from pydantic import AliasChoices, Field

from roundsmith.benchmarks.contests import (
    call_test,
    decoded,
    function_name,
    script_limits,
    starter_head,
)
from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import Filled, PublishedRow, checked
from roundsmith.benchmarks.scripts import SCRIPT_ENTRY, SCRIPT_HEAD
from roundsmith.benchmarks.splits import hash_split
from roundsmith.benchmarks.verbatim import ABOVE
from roundsmith.types import OutputRule, OwnLimits, StdioTest, Task, Test

LICENCE = "MIT"
LIMITS = OwnLimits(cpu_s=4.0)
SCRIPT_LIMITS = script_limits(4.0)
ABSOLUTE, RELATIVE = 1e-8, 1e-5
"""numpy's defaults for `allclose`."""
_NAMES = {
    "itertools": "accumulate, product, permutations, combinations",
    "collections": "Counter, OrderedDict, deque, defaultdict, ChainMap",
    "functools": "lru_cache",
    "math": "sqrt, sin, cos, tan, ceil, fabs, floor, gcd, exp, log, log2",
    "typing": "List, Tuple",
    "heapq": "*",
}
IMPORTS = "".join(
    [
        "import sys, time, itertools, collections, math, fractions, random, heapq\n",
        *(f"from {name} import {names}\n" for name, names in _NAMES.items()),
    ]
)
"""What its runner puts above every program, numpy apart: starter code names types that it does not
import.
"""


class AppsRow(PublishedRow):
    """What we read of a row."""

    problem_id: int = Field(ge=0, validation_alias=AliasChoices("problem_id", "id"))
    """`id` in the hub's JSONL files, from which its rows are made."""
    question: Filled
    input_output: str
    starter_code: str = ""
    difficulty: str = ""


def is_apps(fields: Fields) -> bool:
    """Whether a row has the fields that only APPS has."""
    return {"question", "input_output"} <= fields.keys()


def apps_task(fields: Fields) -> Task:
    """One row as a task. Raises BadField, also for a row without tests, of which APPS has some."""
    row = checked(AppsRow, fields)
    inputs, outputs, name = _input_output(row.input_output)
    head, entry_point = SCRIPT_HEAD, SCRIPT_ENTRY
    if name is not None:
        head, entry_point = f"def {name}(*args):", name
        if row.starter_code.strip():
            head, _ = starter_head(row.starter_code, "starter_code")
    task_id = f"apps/{row.problem_id}"
    pairs = enumerate(zip(inputs, outputs, strict=True))
    return Task(
        task_id=task_id,
        split=hash_split(task_id),
        description=row.question.strip(),
        head=head,
        entry_point=entry_point,
        tests=tuple(_test(f"t{at}", name, given, wanted) for at, (given, wanted) in pairs),
        source="apps",
        licence=LICENCE,
        meta={"difficulty": row.difficulty, ABOVE: IMPORTS},
    )


def _input_output(text: str) -> tuple[list[Any], list[Any], str | None]:
    """Inputs, outputs, and the name of the function where it is one."""
    field = "input_output"
    if not text.strip():
        raise BadField(field, "no tests", "inputs and outputs")
    said = decoded(text, field, "a JSON object")
    if not isinstance(said, dict):
        raise BadField(field, shown(said), "a JSON object")
    inputs, outputs = said.get("inputs"), said.get("outputs")
    if not (isinstance(inputs, list) and isinstance(outputs, list)):
        raise BadField(field, f"the fields {sorted(said)}", "lists inputs and outputs")
    if not inputs or len(inputs) != len(outputs):
        raise BadField(
            field, f"{len(inputs)} inputs and {len(outputs)} outputs", "as many of both, at least 1"
        )
    return inputs, outputs, function_name(said.get("fn_name"), f"{field}.fn_name") or None


def _test(test_id: str, name: str | None, given: Any, wanted: Any) -> Test:
    if name is not None:
        args = _numbered(given if isinstance(given, list) else [given])
        return call_test(test_id, name, args, _numbered(wanted), LIMITS, unwrap=True)
    stdin, stdout = _text(given), _text(wanted)
    return StdioTest(test_id, stdin, stdout, OutputRule.TOKENS, ABSOLUTE, RELATIVE, SCRIPT_LIMITS)


def _numbered(value: Any) -> Any:
    """A dict, also one that a list begins with, has whole numbers for keys where JSON writes them
    all as such, as APPS' runner reads it.
    """
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_numbered(value[0]), *value[1:]]
    try:
        return {int(key): of for key, of in value.items()} if isinstance(value, dict) else value
    except ValueError:
        return value


def _text(value: Any) -> str:
    """Some rows write a text as the list of its lines."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
