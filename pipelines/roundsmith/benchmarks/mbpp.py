"""MBPP, whole or sanitized: rows to tasks.

Ids 601-974 and 1-10 train, 511-600 are the gate, 11-510 are final. The first assert is shown to the
model as a solved call, as in GiFT and in MBPP's own prompt, and is judged all the same.

The hub's MBPP+ has these rows too, and beside the asserts a script of all inputs, which compares by
numpy: it is the test `plus`, in the profile `scientific`, and all tasks are final, as in the JSONL
of EvalPlus' releases.
"""

import ast

from pydantic import Field

from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.heads import arrange, defined_names, parse, unix_lines
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import Filled, PublishedRow, checked
from roundsmith.benchmarks.verbatim import PROFILE, SCIENTIFIC
from roundsmith.types import AssertTest, OwnLimits, Split, Task

LICENCE = "CC-BY-4.0"
PLUS_LIMITS = OwnLimits(cpu_s=20.0)


class MbppRow(PublishedRow):
    """What we read of a row; `text` in the whole file is `prompt` in the sanitized one."""

    task_id: int = Field(ge=1, le=974)
    code: Filled
    test_list: list[Filled] = Field(min_length=1)
    text: str = ""
    prompt: str = ""
    test_setup_code: str = ""
    test_imports: list[str] = Field(default_factory=list)
    test: str = ""
    """Of MBPP+ as the hub has it."""


def is_mbpp(fields: Fields) -> bool:
    """Whether a row has the fields that only MBPP has."""
    return {"code", "test_list"} <= fields.keys()


def mbpp_task(fields: Fields) -> Task:
    """One row as a task. Raises BadField when a field does not fit or no test calls the program."""
    row = checked(MbppRow, fields)
    description = (row.text or row.prompt).strip()
    if not description:
        raise BadField("prompt", "neither text nor prompt", "the task in words")
    entry_point = _entry_point(row)
    needed = frozenset(_names([row.test_setup_code, *row.test_list]))
    arranged = arrange(row.code, entry_point, needed, "code")
    setup = unix_lines(row.test_setup_code).strip()
    return Task(
        task_id=f"mbpp/{row.task_id}",
        split=Split.FINAL if row.test else _split(row.task_id),
        description=description,
        head=arranged.head,
        entry_point=entry_point,
        # The set-up code builds values of the program's own classes, so it comes after it.
        tests=(
            *(
                AssertTest(f"t{i}", f"{setup}\n{test.strip()}" if setup else test.strip())
                for i, test in enumerate(row.test_list)
            ),
            *_plus(row, entry_point),
        ),
        reference=arranged.reference,
        setup="".join(f"{line.strip()}\n" for line in row.test_imports),
        example=example(row.test_list[0]),
        source="mbpp-plus" if row.test else "mbpp-sanitized" if row.prompt else "mbpp",
        licence=LICENCE,
        meta={PROFILE: SCIENTIFIC} if row.test else {},
    )


def _plus(row: MbppRow, entry_point: str) -> list[AssertTest]:
    """The script of MBPP+'s inputs. Raises BadField for one that does not call the program."""
    if not row.test:
        return []
    tree = parse(row.test, "test")
    if entry_point not in {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}:
        raise BadField("test", shown(row.test), f"a script that calls {entry_point}")
    return [AssertTest("plus", row.test.strip(), PLUS_LIMITS)]


def example(test: str) -> str:
    """An assert as a solved call: `>>> call`, its value on the next line; True without `==`."""
    statement = parse(test.strip(), "test_list").body[0]
    if not isinstance(statement, ast.Assert):
        raise BadField("test_list", test, "an assert statement")
    call, value = statement.test, "True"
    if isinstance(call, ast.Compare) and len(call.ops) == 1 and isinstance(call.ops[0], ast.Eq):
        value, call = _text(test.strip(), call.comparators[0]), call.left
    return f">>> {_text(test.strip(), call)}\n{value}"


def _text(test: str, node: ast.expr) -> str:
    text = ast.get_source_segment(test, node) or ""
    return text if text and "\n" not in text else ast.unparse(node)


def _split(task_id: int) -> Split:
    if 11 <= task_id <= 510:
        return Split.FINAL
    return Split.GATE if 511 <= task_id <= 600 else Split.TRAIN


def _entry_point(row: MbppRow) -> str:
    """The first function of the program that every test calls."""
    tree = parse(row.code, "code")
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    functions = [name for name in defined_names(tree) if name not in classes]
    called = [_names([test]) for test in row.test_list]
    for name in called[0]:
        if name in functions and all(name in names for names in called):
            return name
    raise BadField("test_list", f"calls of {called[0]}", f"each test to call one of {functions}")


def _names(sources: list[str]) -> list[str]:
    """The names that Python sources use, outermost first."""
    trees = [parse(source.strip(), "test_list") for source in sources]
    return [node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)]
