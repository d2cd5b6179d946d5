"""Programs judged by standard input and output: a function, and the call that starts it."""

import ast
from collections.abc import Sequence

from roundsmith.benchmarks.heads import parse
from roundsmith.benchmarks.problems import BadField
from roundsmith.benchmarks.verbatim import ABOVE, with_test
from roundsmith.types import StdioTest, Task

SCRIPT_ENTRY = "main"
SCRIPT_HEAD = f"def {SCRIPT_ENTRY}() -> None:"


def runnable(task: Task, program: str) -> str:
    """A model's program as the executor runs it: that of a stdin/stdout task with its call, that of
    a benchmark which brings a script with the script, below what its benchmark imports.
    """
    return task.meta.get(ABOVE, "") + _started(task, program)


def _started(task: Task, program: str) -> str:
    script = with_test(task, program)
    if script is not None:
        return script
    if not any(isinstance(test, StdioTest) for test in task.tests):
        return program
    try:
        return as_script(program, task.entry_point)
    except BadField:
        return program  # the executor says COMPILE_ERROR


def as_script(program: str, entry_point: str) -> str:
    """The program with `entry_point()` below it, unless it defines no such function or its top
    level uses it already, itself or in a function that it uses: by a call, or as a thread's target.
    Then it is a script as it is.

    Raises BadField when the program does not parse.
    """
    body = parse(program, "reference").body
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    used = _names([node for node in body if not isinstance(node, ast.FunctionDef)])
    while more := _names([functions[name] for name in functions.keys() & used]) - used:
        used |= more
    if entry_point in used or entry_point not in functions:
        return program
    return f"{program.rstrip()}\n\n{entry_point}()\n"


def _names(statements: Sequence[ast.stmt]) -> set[str]:
    """The names that statements read."""
    nodes = (node for statement in statements for node in ast.walk(statement))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
