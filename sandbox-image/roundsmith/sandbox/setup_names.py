"""What a task's setup imports, as a tester has it: the task's own, whatever the program made of it.

Not handled: what a setup defines itself, its functions and classes; the program may change those,
as it must where they are a draft that it replaces.
"""

import ast
from collections.abc import Collection
from contextlib import suppress
from typing import Any

_SETUP = "<setup>"


def imported(setup: str, names: Collection[str]) -> dict[str, Any]:
    """Those of the names that the setup's own import statements bind, with what they bind. What can
    not be imported here is left out: the program's process fails on it as it loads.
    """
    try:
        statements = ast.parse(setup).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return {}
    bound: dict[str, Any] = {}
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom) and _binds_any(statement, names):
            with suppress(ImportError):
                tree = ast.Module([statement], [])
                exec(compile(tree, _SETUP, "exec", dont_inherit=True), bound)
    return {name: bound[name] for name in names if name in bound}


def _binds_any(statement: ast.Import | ast.ImportFrom, names: Collection[str]) -> bool:
    whole = isinstance(statement, ast.Import)
    for alias in statement.names:
        name = alias.asname or (alias.name.partition(".")[0] if whole else alias.name)
        if name in names or name == "*":
            return True
    return False
