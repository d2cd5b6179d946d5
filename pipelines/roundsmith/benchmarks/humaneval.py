"""HumanEval: rows to tasks, all in the split `final`: 164 tasks are a yardstick, no training set.

The head is the prompt up to and including the entry point's def line, with the imports and helper
functions above it; the docstring's prose is the description, its doctest lines are the example.
Prompts put both in one docstring again, with the prose's white space joined, so that pass@1 is
measured near the published set-up but not in it.
"""

import ast
import inspect
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.heads import Arranged, arrange, defined_names, parse
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import checked
from roundsmith.types import AssertTest, Split, Task

LICENCE = "MIT"
Filled = Annotated[str, Field(min_length=1)]


class HumanEvalRow(BaseModel):
    """What we read of a row."""

    model_config = ConfigDict(frozen=True, strict=True)

    task_id: Filled
    prompt: Filled
    entry_point: Filled
    canonical_solution: Filled
    test: Filled


def is_humaneval(fields: Fields) -> bool:
    """Whether a row has the fields that only HumanEval has."""
    return {"canonical_solution", "entry_point"} <= fields.keys()


def humaneval_task(fields: Fields) -> Task:
    """One row as a task with one test, `check(entry_point)`. Raises BadField."""
    row = checked(HumanEvalRow, fields)
    arranged, description, example = described_head(
        row.prompt + row.canonical_solution, row.entry_point
    )
    if "check" not in defined_names(parse(row.test, "test")):
        raise BadField("test", shown(row.test), "a function check(candidate)")
    return Task(
        task_id=row.task_id,
        split=Split.FINAL,
        description=description,
        head=arranged.head,
        entry_point=row.entry_point,
        tests=(AssertTest("check", f"{row.test.strip()}\n\ncheck({row.entry_point})"),),
        reference=arranged.reference,
        example=example,
        source="humaneval",
        licence=LICENCE,
    )


def described_head(code: str, entry_point: str) -> tuple[Arranged, str, str | None]:
    """Head and reference, description and example of a prompt with its solution below it. Raises
    BadField.
    """
    tree = parse(code, "canonical_solution")
    arranged = arrange(code, entry_point, frozenset(defined_names(tree)), "prompt")
    return arranged, *_described(_docstring(tree, entry_point))


def _docstring(tree: ast.Module, entry_point: str) -> str:
    """The first string statement of the function: one task has an import above it."""
    function = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == entry_point][
        -1
    ]
    for statement in function.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return inspect.cleandoc(str(statement.value.value))
    raise BadField("prompt", "no docstring", "the task in words in the docstring")


def _described(docstring: str) -> tuple[str, str | None]:
    """Prose and doctest lines of a docstring; text below the first doctest stays with it."""
    lines = docstring.split("\n")
    at = next((i for i, line in enumerate(lines) if line.lstrip().startswith(">>>")), len(lines))
    doctest = [line.strip() for line in lines[at:] if line.strip()]
    return "\n".join(lines[:at]).strip(), "\n".join(doctest) or None
