"""Which names a test has from the program, and which from Python or the task's setup.

A test is about the names that it reads and does not bind. Where one of these is neither a built-in
nor what the setup imports, it is the program's, and the others are not: so no program can bend what
a test compares by. A test of nothing but one built-in's name asks the program for that.
"""

import ast
import builtins
import symtable
from collections.abc import Collection, Iterator

PROGRAM = "solution"
_RUN_TEXT = frozenset({"eval", "exec"})
_NEVER = _RUN_TEXT | {"compile", "dir", "globals", "locals", "vars"}
"""Built-ins that look at where they are called, so the program's would see another place."""


def used(tree: ast.AST) -> set[str]:
    """The names in a test, those in texts that it gives to `eval` and `exec` among them."""
    return {node.id for node in _nodes(tree) if isinstance(node, ast.Name)}


def read_only(source: str, tree: ast.AST) -> set[str]:
    """The names that a test reads as globals and binds nowhere. Raises SyntaxError."""
    bound, read = _globals(source)
    for text in _texts(tree):
        read |= set.difference(*reversed(_globals(text)))
    return read - bound


def is_given(name: str, by_setup: Collection[str]) -> bool:
    """Whether Python or the setup has the name, too."""
    return hasattr(builtins, name) or name in by_setup


def may_be_asked(name: str, by_setup: Collection[str]) -> bool:
    """Whether a test may be about such a name as the program has it."""
    if name in by_setup:
        return True
    found = getattr(builtins, name, None)
    is_exception = isinstance(found, type) and issubclass(found, BaseException)
    return not (name.startswith("__") or name in _NEVER or is_exception)


def imports_program(tree: ast.AST) -> bool:
    """Whether a test imports the program, by a statement or by its name in a string."""
    for node in _nodes(tree):
        match node:
            case ast.ImportFrom(module=module) if module == PROGRAM:
                return True
            case ast.Import(names=names) if any(alias.name == PROGRAM for alias in names):
                return True
            case ast.Constant(value=value) if value == PROGRAM:
                return True
    return False


def _globals(source: str) -> tuple[set[str], set[str]]:
    """The names that a text binds as globals, and those that it reads. Raises SyntaxError."""
    tables = [symtable.symtable(source, "<test>", "exec")]
    for table in tables:
        tables += table.get_children()
    symbols = [symbol for table in tables for symbol in table.get_symbols()]
    bound = {symbol.get_name() for symbol in tables[0].get_symbols() if _binds(symbol)}
    bound |= {s.get_name() for s in symbols if s.is_declared_global() and _binds(s)}
    return bound, {s.get_name() for s in symbols if s.is_global() and s.is_referenced()}


def _binds(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported()


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    yield from ast.walk(tree)
    for text in _texts(tree):
        yield from ast.walk(ast.parse(text))


def _texts(tree: ast.AST) -> Iterator[str]:
    """The texts that a test has run."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text)), *_]):
                if name in _RUN_TEXT:
                    try:
                        ast.parse(text.strip())
                    except (SyntaxError, ValueError):
                        continue
                    yield text.strip()
