"""Reads a test's source: what can be judged outside, and what only works beside the program.

Splits `assert call(...) == literal` into the call, which the solver gets, and what the judge
compares outside.

Sound only for exactly one assert of one call with literal arguments: against a literal by `==`,
`is` None or a bool, or for the call's truth. Everything else runs in a tester.
"""

import ast
from dataclasses import dataclass
from typing import Any

MAX_SOURCE = 64 * 2**10
_SHARED = frozenset(
    {"io", "mock", "open", "os", "patch", "pathlib", "shutil", "sqlite3", "sys", "tempfile"}
)
"""What a test uses when it looks at the program's files or output, or changes what it calls."""


@dataclass(frozen=True, slots=True)
class SplitAssert:
    """A call and what must hold of its result: equality with `expected`, or its truth."""

    entry_point: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    expected: Any = None
    truth: bool | None = None
    """Set when the result's truth is asked instead of a value."""


def split(source: str) -> SplitAssert | None:
    """The split of a test's source, None where it is not sound."""
    if len(source) > MAX_SOURCE:
        return None
    try:
        body = ast.parse(source).body
        return _split(body[0].test) if len(body) == 1 and isinstance(body[0], ast.Assert) else None
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None


def _split(test: ast.expr) -> SplitAssert | None:
    match test:
        case ast.Compare(left=ast.Call() as call, ops=[ast.Eq()], comparators=[expected]):
            return _with(call, ast.literal_eval(expected))
        case ast.Compare(left=expected, ops=[ast.Eq()], comparators=[ast.Call() as call]):
            return _with(call, ast.literal_eval(expected))
        case ast.Call() as call:
            return _with(call, None, truth=True)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Call() as call):
            return _with(call, None, truth=False)
    return None


def _with(call: ast.Call, expected: Any, truth: bool | None = None) -> SplitAssert | None:
    if not isinstance(call.func, ast.Name) or any(keyword.arg is None for keyword in call.keywords):
        return None
    args = tuple(ast.literal_eval(argument) for argument in call.args)
    kwargs = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    return SplitAssert(call.func.id, args, kwargs, expected, truth)


def needs_one_process(source: str) -> bool:
    """Whether classes share files, streams or patched names with the program, which a process of
    their own has not.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return False
    return any(not _SHARED.isdisjoint(_words(node)) for node in ast.walk(tree))


def _words(node: ast.AST) -> tuple[str, ...]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return (name,)
        case ast.Import(names=aliases):
            return tuple(word for alias in aliases for word in alias.name.split("."))
        case ast.ImportFrom(module=str(module), names=aliases):
            return (*module.split("."), *(alias.name for alias in aliases))
    return ()
