"""Programs judged by standard input and output: a function, and the call that starts it."""

import ast

from roundsmith.benchmarks.heads import parse
from roundsmith.benchmarks.problems import BadField
from roundsmith.benchmarks.verbatim import with_test
from roundsmith.types import StdioTest, Task

SCRIPT_ENTRY = "main"
SCRIPT_HEAD = f"def {SCRIPT_ENTRY}() -> None:"


def runnable(task: Task, program: str) -> str:
    """A model's program as the executor runs it: that of a stdin/stdout task with its call, that of
    a benchmark which brings a script with the script.
    """
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
    """The program with `entry_point()` below it, unless its top level calls it already or it
    defines no such function: then it is a script as it is.

    Raises BadField when the program does not parse.
    """
    body = parse(program, "reference").body
    top = [node for node in body if not isinstance(node, ast.FunctionDef)]
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    called = {
        node.func.id
        for statement in top
        for node in ast.walk(statement)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    if entry_point in called or entry_point not in defined:
        return program
    return f"{program.rstrip()}\n\n{entry_point}()\n"
