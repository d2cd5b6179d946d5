"""LiveCodeBench's code generation rows: problems of contests, all in the split `final`.

Public tests come before private ones, which are JSON or, as in the `lite` releases, a compressed
pickle of a JSON text: it is opened by an unpickler that knows no classes, so that a data file can
not run code. Scripts print what is compared word by word, numbers by value (LiveCodeBench compares
decimals line by line); 6 s of CPU time for a test, as its runner gives.
"""

import base64
import io
import pickle
import zlib
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

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
from roundsmith.benchmarks.verbatim import ABOVE
from roundsmith.types import OutputRule, OwnLimits, Split, StdioTest, Task, Test

LIMITS = OwnLimits(cpu_s=6.0)
SCRIPT_LIMITS = script_limits(6.0)
_MOST_BYTES = 2**28
_ALL_OF = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random"),
    *("statistics", "itertools", "functools", "operator", "io", "sys", "json"),
)
IMPORTS = "".join(
    [
        *(f"from {name} import *\n" for name in (*_ALL_OF, "builtins", "typing")),
        *(f"import {name}\n" for name in _ALL_OF),
        "sys.setrecursionlimit(50000)\n",
    ]
)
"""What its runner puts above every program: starter code names types that it does not import."""


def _date(value: object) -> object:
    """The hub's Parquet has a time where the JSONL has its text."""
    return value.isoformat() if isinstance(value, datetime) else value


class LiveCodeBenchRow(PublishedRow):
    """What we read of a row."""

    question_id: Filled
    question_content: Filled
    starter_code: str = ""
    public_test_cases: Filled
    private_test_cases: str = "[]"
    metadata: str = "{}"
    platform: str = ""
    difficulty: str = ""
    contest_date: Annotated[
        str, BeforeValidator(_date), Field(strict=False, coerce_numbers_to_str=True)
    ] = ""


class Case(PublishedRow):
    """One test as the benchmark writes it."""

    input: str
    output: str
    testtype: str = "stdin"


def is_livecodebench(fields: Fields) -> bool:
    """Whether a row has the fields that only LiveCodeBench has."""
    return {"question_content", "public_test_cases"} <= fields.keys()


def livecodebench_task(fields: Fields) -> Task:
    """One row as a task. Raises BadField."""
    row = checked(LiveCodeBenchRow, fields)
    cases = [
        *_cases(decoded(row.public_test_cases, "public_test_cases", "a JSON list"), "public"),
        *_cases(_private(row.private_test_cases), "private"),
    ]
    if not cases:
        raise BadField("public_test_cases", "no tests", "at least one")
    head, entry_point = SCRIPT_HEAD, SCRIPT_ENTRY
    if row.starter_code.strip():
        head, entry_point = starter_head(row.starter_code, "starter_code")
    said = _function(row.metadata)
    return Task(
        task_id=row.question_id,
        split=Split.FINAL,
        description=row.question_content.strip(),
        head=head,
        entry_point=said or entry_point,
        tests=tuple(_test(test_id, case, said or entry_point) for test_id, case in cases),
        source="livecodebench",
        meta={
            "difficulty": row.difficulty,
            "platform": row.platform,
            "date": row.contest_date,
            ABOVE: IMPORTS,
        },
    )


def _function(metadata: str) -> str:
    """The name that metadata give the function; empty where they give none."""
    said = decoded(metadata, "metadata", "a JSON object")
    if not isinstance(said, dict):
        raise BadField("metadata", shown(said), "a JSON object")
    return function_name(said.get("func_name"), "metadata.func_name")


def _test(test_id: str, case: Case, entry_point: str) -> Test:
    if case.testtype == "stdin":
        return StdioTest(
            test_id, case.input, case.output, OutputRule.TOKENS, tolerance=0.0, limits=SCRIPT_LIMITS
        )
    if case.testtype != "functional":
        raise BadField(test_id, shown(case.testtype), "the testtype stdin or functional")
    lines = filter(str.strip, case.input.split("\n"))  # U+2028 in a JSON string ends no line
    args = [decoded(line, test_id, "one JSON value a line") for line in lines]
    expected = decoded(case.output, test_id, "a JSON value")
    return call_test(test_id, entry_point, args, expected, LIMITS, unwrap=False)


def _cases(rows: Any, name: str) -> list[tuple[str, Case]]:
    field = f"{name}_test_cases"
    if not isinstance(rows, list):
        raise BadField(field, shown(rows), "a JSON list")
    return [(f"{name}-{at}", checked(Case, row)) for at, row in enumerate(rows)]


def _private(text: str) -> Any:
    if text.lstrip().startswith("["):
        return decoded(text, "private_test_cases", "a JSON list")
    try:
        packed = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
        inner = _NoClasses(io.BytesIO(packed)).load()
    except (ValueError, zlib.error, pickle.UnpicklingError, EOFError, IndexError) as error:
        raise BadField(
            "private_test_cases", f"{shown(text, 40)} ({error})", "JSON, or a packed JSON text"
        ) from error
    if not isinstance(inner, str):
        raise BadField("private_test_cases", shown(inner, 40), "a packed JSON text")
    return decoded(inner, "private_test_cases", "a JSON list")


class _NoClasses(pickle.Unpickler):
    """Opens texts, numbers and lists only: whatever names a class or a function is refused."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it names an object outside")
