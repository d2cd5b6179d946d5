"""CodeInsight: short functions that use libraries, in the folders of its repository (a folder a
problem, below `train` and `test`) or in the JSONL that its README describes.

Those of `test` are final; of `train`, and of JSONL rows, the hash of the id says the split, the
former never final. Unit tests without an assert judge nothing and are left out; seven problems have
no other and are refused. Programs run in the profile `scientific`, with the imports above them that
tests take for granted; tasks that use other libraries than numpy and pandas can not pass.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from roundsmith.benchmarks.files import Fields, RawRow
from roundsmith.benchmarks.heads import arrange, defined_names, parse
from roundsmith.benchmarks.problems import BadField, Problem
from roundsmith.benchmarks.rows import Filled, PublishedRow, checked
from roundsmith.benchmarks.splits import hash_split
from roundsmith.benchmarks.verbatim import PROFILE, SCIENTIFIC
from roundsmith.types import AssertTest, OwnLimits, Split, Task

LIMITS = OwnLimits(cpu_s=5.0)
SETUP = "import collections, datetime, itertools, json, math, random, re, string\n" + (
    "import numpy as np\nimport pandas as pd\n"
)
FILES = ("nl.txt", "test_reference.py", "unit_tests")
"""What each problem's folder holds: the intent, the reference, and a folder of unit tests."""


class CodeInsightRow(PublishedRow):
    """What we read of a row; `part` is the folder that a problem lies in, where it does."""

    id: Filled
    intent: Filled
    code: Filled
    unit_tests: list[Filled] = Field(min_length=1)
    part: str = ""


def is_codeinsight(fields: Fields) -> bool:
    """Whether a row has the fields that only CodeInsight has."""
    return {"intent", "unit_tests", "code"} <= fields.keys()


def read_folder(folder: Path) -> Iterator[RawRow | Problem]:
    """The problems below `train` and `test` of a folder as rows, in the order of their numbers."""
    found = [
        problem
        for part in ("train", "test")
        for problem in sorted((folder / part).glob("*/"), key=_number)
        if (problem / FILES[1]).is_file()
    ]
    for line, problem in enumerate(found, start=1):
        name = f"{problem.parent.name}/{problem.name}"
        try:
            intent = (problem / FILES[0]).read_text("utf-8")
            tests = sorted((problem / FILES[2]).glob("test_*.py"))
            yield RawRow(
                line,
                {
                    "id": name,
                    "intent": intent,
                    "code": (problem / FILES[1]).read_text("utf-8"),
                    "unit_tests": [test.read_text("utf-8") for test in tests],
                    "part": problem.parent.name,
                },
            )
        except (OSError, UnicodeDecodeError) as error:
            yield Problem(name, line, "", str(error), f"the files {', '.join(FILES)}, in UTF-8")


def codeinsight_task(fields: Fields) -> Task:
    """One row as a task. Raises BadField."""
    known = {**fields, "id": str(fields.get("id", ""))}
    row = checked(CodeInsightRow, known)
    judging = [source.strip() for source in row.unit_tests if _asserts(source)]
    if not judging:
        raise BadField("unit_tests", "no assert", "at least one, or anything that runs passes")
    entry_point = _entry_point(row.code, judging)
    arranged = arrange(row.code, entry_point, frozenset(), "code")
    task_id = f"codeinsight/{row.id}"
    return Task(
        task_id=task_id,
        split=_split(task_id, row.part),
        description=row.intent.strip(),
        head=arranged.head,
        entry_point=entry_point,
        tests=tuple(AssertTest(f"t{at}", source, LIMITS) for at, source in enumerate(judging)),
        reference=arranged.reference,
        setup=SETUP,
        source="codeinsight",
        meta={PROFILE: SCIENTIFIC},
    )


def _number(folder: Path) -> tuple[int, str]:
    return (int(folder.name) if folder.name.isdigit() else 0, folder.name)


def _asserts(source: str) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(parse(source, "unit_tests")))


def _entry_point(code: str, tests: list[str]) -> str:
    """The function of the reference that every test calls, the last of several."""
    used = [{n.id for n in ast.walk(ast.parse(t)) if isinstance(n, ast.Name)} for t in tests]
    names = defined_names(parse(code, "code"))
    called = [name for name in names if all(name in names_used for names_used in used)]
    if not called:
        raise BadField("unit_tests", "no call", f"each test to call one of {list(names)}")
    return called[-1]


def _split(task_id: str, part: str) -> Split:
    if part == "test":
        return Split.FINAL
    split = hash_split(task_id)
    return Split.TRAIN if part and split is Split.FINAL else split
