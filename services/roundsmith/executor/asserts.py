"""Reads a test's source: what can be judged outside, and what only works beside the program.

Splits `assert call(...) == literal` into the call, which the solver gets, and what the judge
compares outside.

Sound only for asserts of one call each with literal arguments: against a literal by `==`, for the
call's truth, or by a condition that is decided here. They may stand in a function of one argument,
the program's function, that is then called with it, as the tests of HumanEval do. Everything else
runs in a tester.
"""

import ast
import builtins
import re
from dataclasses import dataclass, replace
from itertools import dropwhile
from typing import Any

from roundsmith.executor.conditions import MATH, Condition, Reader, shared
from roundsmith.executor.literals import literal
from roundsmith.executor.setups import is_math

MAX_SOURCE = 64 * 2**10
# They are kept for tests that are asked again, and have a size.
_MOST_CONDITIONS = 32
_WORD = re.compile(r"\w+")
_LOOK_AROUND = frozenset(
    {"__import__", "compile", "dir", "eval", "exec", "globals", "locals", "vars"}
)
"""Built-ins whose call is about the place where it stands: a comparison may be in what they run."""
_SHARED = frozenset(
    {
        *("io", "mock", "open", "os", "patch", "pathlib", "shutil", "sqlite3", "sys", "tempfile"),
        *("addHandler", "assertLogs", "assertNoLogs"),
        *("assertWarns", "assertWarnsRegex", "catch_warnings"),
    }
)
"""What a test uses when it looks at the program's files, output, logs or warnings, or changes what
it calls.
"""


@dataclass(frozen=True, slots=True)
class SplitAssert:
    """A call and what must hold of its result: equality with `expected`, its truth, or another
    condition.
    """

    entry_point: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    expected: Any = None
    truth: bool | None = None
    """Set when the result's truth is asked instead of a value."""
    condition: Condition | None = None
    """Set when it is asked instead."""
    names: frozenset[str] = frozenset()
    """What the assert has from Python, and means only where nothing else has the name: built-ins
    but the one that it calls, and `math` where the test does not import it.
    """


def split(source: str) -> tuple[SplitAssert, ...]:
    """The splits of a test's asserts, in order; none where that is not sound."""
    if len(source) > MAX_SOURCE:
        return ()
    try:
        statements, has_math = _said(ast.parse(source).body)
        match statements:
            case [ast.FunctionDef() as check, ast.Expr(value=ast.Call() as call)]:
                statements, within = _said(_applied(check, call))
                has_math = has_math or within
        return _splits(statements, {MATH} if has_math else set())
    except (SyntaxError, ValueError, TypeError, ArithmeticError, MemoryError, RecursionError):
        return ()


def _splits(statements: list[ast.stmt], own: set[str]) -> tuple[SplitAssert, ...]:
    """Those of asserts, in a test that imports the names in `own` itself. Raises as `_split`."""
    found: list[SplitAssert] = []
    for statement in statements:
        one = _split(statement.test, own) if isinstance(statement, ast.Assert) else None
        if one is None:
            return ()
        found.append(one)
        if one.condition and sum(part.condition is not None for part in found) > _MOST_CONDITIONS:
            return ()
    names = own.union(*(one.names for one in found))
    return () if any(one.entry_point in names for one in found) else tuple(found)


def _said(statements: list[ast.stmt]) -> tuple[list[ast.stmt], bool]:
    """Those that say something, and whether `import math` comes before all of them."""
    said = [s for s in statements if not _says_nothing(s)]
    own = list(dropwhile(_imports_math, said))
    return own, len(own) < len(said)


def _imports_math(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import) and all(map(is_math, statement.names))


def _says_nothing(statement: ast.stmt) -> bool:
    """A constant, a built-in's name, `assert True`, or a name that is given a literal, such as
    METADATA.
    """
    match statement:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Name(id=name)):
            return hasattr(builtins, name)
        case ast.Assert(test=ast.Constant(value=value)):
            return bool(value)
        case ast.Assign(targets=[ast.Name(id="METADATA")], value=ast.Dict()):
            ast.literal_eval(statement.value)
            return True
    return False


def _applied(check: ast.FunctionDef, call: ast.Call) -> list[ast.stmt]:
    """The statements of a function of one argument, with the name that it is called with in place
    of it. Raises ValueError where it is more than that.
    """
    match call:
        case ast.Call(func=ast.Name(id=name), args=[ast.Name(id=given)], keywords=[]):
            parameters = ast.unparse(check.args)
            if name != check.name or check.decorator_list or not parameters.isidentifier():
                raise ValueError("a function that is more than its asserts")
        case _:
            raise ValueError("no call of a function with a name")
    body = [s for s in check.body if not _says_nothing(s)]
    if parameters == MATH and any(map(_imports_math, body)):
        raise ValueError("a name for two things")
    for node in (node for statement in body for node in ast.walk(statement)):
        if isinstance(node, ast.Name) and node.id in (parameters, name):
            if node.id == name:
                raise ValueError("a function that names itself")
            node.id = given
    return body


def _split(test: ast.expr, own: set[str]) -> SplitAssert | None:
    """The split of one assert. Raises ValueError, TypeError or ArithmeticError for one of none."""
    names = set[str]()
    try:
        found = _plain(test, names)
    except (ValueError, TypeError, ArithmeticError):
        found = None
    if found is None:
        reader = Reader()
        condition, names = reader.condition(test), reader.names
        assert reader.call is not None
        found = _with(reader.call, names, condition=condition)
    return found and replace(found, names=shared(frozenset(names - own)))


def _plain(test: ast.expr, names: set[str]) -> SplitAssert | None:
    match test:
        case ast.Compare(left=ast.Call() as call, ops=[ast.Eq()], comparators=[expected]):
            return _with(call, names, literal(expected, names))
        case ast.Compare(left=expected, ops=[ast.Eq()], comparators=[ast.Call() as call]):
            return _with(call, names, literal(expected, names))
        case ast.Call() as call:
            return _with(call, names, truth=True)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Call() as call):
            return _with(call, names, truth=False)
    return None


def _with(
    call: ast.Call,
    names: set[str],
    expected: Any = None,
    truth: bool | None = None,
    condition: Condition | None = None,
) -> SplitAssert | None:
    if not isinstance(call.func, ast.Name) or call.func.id in _LOOK_AROUND:
        return None
    if any(keyword.arg is None for keyword in call.keywords):
        return None
    args = tuple(literal(argument, names) for argument in call.args)
    kwargs = {str(keyword.arg): literal(keyword.value, names) for keyword in call.keywords}
    return SplitAssert(call.func.id, args, kwargs, expected, truth, condition)


def needs_one_process(source: str) -> bool:
    """Whether classes share files, streams or patched names with the program, which a process of
    their own has not. Of a source that is too large to be parsed here, whether it holds such a word
    anywhere.
    """
    if len(source) > MAX_SOURCE:
        return any(match[0] in _SHARED for match in _WORD.finditer(source))
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
