"""HumanEval: rows to tasks, all in the split `final`: 164 tasks are a yardstick, no training set.

The head is the prompt up to and including the entry point's def line, with the imports and helper
functions above it; the docstring's prose is the description, its doctest lines are the example.
Prompts put both in one docstring again, with the prose's white space joined, so that pass@1 is
measured near the published set-up but not in it.

The hub's HumanEval+ has these rows too, but its tests compare by numpy: they run in the profile
`scientific`, and are the source `humaneval-plus`.

Helper functions of the prompt that a test calls are in the test as well: what the program makes of
their names changes nothing there.
"""

import ast
import inspect
from collections.abc import Iterable, Mapping

from roundsmith.benchmarks.asserted import parted
from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.heads import arrange, defined_names, imported_modules, parse
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import Filled, FunctionRow, checked
from roundsmith.benchmarks.verbatim import LIBRARIES, PROFILE, SCIENTIFIC
from roundsmith.types import AssertTest, OwnLimits, Split, Task, Test

LICENCE = "MIT"
PLUS_LIMITS = OwnLimits(cpu_s=20.0)
"""For the hub's HumanEval+, all inputs of a task in one test."""


class HumanEvalRow(FunctionRow):
    """What we read of a row."""

    prompt: Filled
    test: Filled


def is_humaneval(fields: Fields) -> bool:
    """Whether a row has the fields that only HumanEval has."""
    return {"canonical_solution", "entry_point"} <= fields.keys()


def humaneval_task(fields: Fields) -> Task:
    """One row as a task, whose test is `check(entry_point)`; asserts of it whose call the prompt
    shows are a test of their own, `shown`. Raises BadField.
    """
    row = checked(HumanEvalRow, fields)
    if "check" not in defined_names(parse(row.test, "test")):
        raise BadField("test", shown(row.test), "a function check(candidate)")
    helpers = _helpers(row)
    plus = bool(imported_modules(parse(row.test, "test")) & LIBRARIES)
    tests = (
        AssertTest(
            name,
            f"{helpers}{source.strip()}\n\ncheck({row.entry_point})",
            PLUS_LIMITS if plus else None,
        )
        for name, source in parted(row.test, row.entry_point, row.prompt)
    )
    if not plus:
        return described_task(row, row.prompt, tests, "humaneval", LICENCE)
    meta = {PROFILE: SCIENTIFIC}
    return described_task(row, row.prompt, tests, "humaneval-plus", LICENCE, meta)


def _helpers(row: HumanEvalRow) -> str:
    """The prompt's functions that the test calls, with the statements that they rest on."""
    body = parse(row.prompt + row.canonical_solution, "prompt").body
    functions = {n.name for n in body if isinstance(n, ast.FunctionDef)} - {row.entry_point}
    needed, grown = set[str](), _names(parse(row.test, "test")) & functions
    while grown != needed:
        needed = grown
        kept = [node for node in body if needed & _bound(node)]
        grown = needed.union(*map(_names, kept)) - {row.entry_point}
    return "".join(f"{ast.unparse(node)}\n\n" for node in body if needed & _bound(node))


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement of a module binds."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return {alias.asname or alias.name.partition(".")[0] for alias in aliases}
        case ast.Assign():
            return {
                n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)
            }
    return set()


def described_task(
    row: FunctionRow,
    prompt: str,
    tests: Iterable[Test],
    source: str,
    licence: str,
    meta: Mapping[str, str] | None = None,
) -> Task:
    """A task of the split `final` whose head, description and example are taken from a prompt that
    ends with the function's docstring. Raises BadField.
    """
    code = prompt + row.canonical_solution
    tree = parse(code, "canonical_solution")
    arranged = arrange(code, row.entry_point, frozenset(defined_names(tree)), "prompt")
    description, example = _described(_docstring(tree, row.entry_point))
    return Task(
        task_id=row.task_id,
        split=Split.FINAL,
        description=description,
        head=arranged.head,
        entry_point=row.entry_point,
        tests=tuple(tests),
        reference=arranged.reference,
        example=example,
        source=source,
        licence=licence,
        meta=meta or {},
    )


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
