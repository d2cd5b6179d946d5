"""What a task's setup makes of names that a test has from Python."""

import ast
from functools import lru_cache

from roundsmith.executor.conditions import MATH

_MOST_CHARACTERS, _MOST_KEPT = 2**13, 256


@lru_cache(maxsize=_MOST_KEPT)
def leaves(setup: str, names: frozenset[str]) -> bool:
    """Whether the names mean Python's own after the setup: it binds no built-in among them, and
    imports the module `math`, where that is one, and binds it to nothing else. Not of a setup that
    is too large to be parsed here, or is not Python.
    """
    if not setup:
        return MATH not in names
    if len(setup) > _MOST_CHARACTERS:
        return False
    try:
        tree = ast.parse(setup)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    if any(bound in names or bound == "*" for node in ast.walk(tree) for bound in _bound(node)):
        return False
    return MATH not in names or any(map(_imports_math, tree.body))


def _imports_math(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import) and any(map(is_math, statement.names))


def is_math(alias: ast.alias) -> bool:
    """Whether it imports the module by its name."""
    return alias.name == MATH and alias.asname in (None, MATH)


def _bound(node: ast.AST) -> tuple[str, ...]:
    """The names that a node binds, but for `import math`; at any depth, those of functions too."""
    match node:
        case ast.Import(names=aliases):
            others = (alias for alias in aliases if not is_math(alias))
            return tuple(alias.asname or alias.name.partition(".")[0] for alias in others)
        case ast.ImportFrom(names=aliases):
            return tuple(alias.asname or alias.name for alias in aliases)
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            return (name,)
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            return (name,)
    return ()
