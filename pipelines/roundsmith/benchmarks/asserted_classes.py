"""Which methods of `unittest` classes a prompt shows: those all of whose calls it writes out."""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from roundsmith.benchmarks.asserted import SHOWN, Told, written_call

CLASSES = "unittest"
Call = tuple[list[Any], list[tuple[str, Any]]]
"""Arguments by position and by name."""
Method = ast.FunctionDef | ast.AsyncFunctionDef


def parted_classes(source: str, entry_point: str, prompt: str) -> Iterator[tuple[str, str]]:
    """A source of `unittest` classes as (test id, source): without the methods whose calls the
    prompt shows, and with those methods alone; as it is where it shows none, or all.

    A method is shown when it calls the function, each time with literals or with names that it gave
    literals to, and the prompt writes out every one of these calls, in its examples perhaps by
    names too.
    """
    told = Told(prompt, *_examples(prompt, entry_point))
    tree = ast.parse(source)
    seen = [method for _, method in _methods(tree) if _is_told(method, entry_point, told)]
    if not seen or len(seen) == sum(1 for _ in _methods(tree)):
        yield (SHOWN if seen else CLASSES), source
        return
    for name, kept in ((CLASSES, False), (SHOWN, True)):
        tree = ast.parse(source)
        for of, method in list(_methods(tree)):
            if _is_told(method, entry_point, told) is not kept:
                of.body.remove(method)
                of.body = of.body or [ast.Pass()]
        yield name, ast.unparse(tree)


def _methods(tree: ast.Module) -> Iterator[tuple[ast.ClassDef, Method]]:
    """The test methods of a module's classes, each with its class."""
    for of in tree.body:
        if isinstance(of, ast.ClassDef):
            for node in of.body:
                if isinstance(node, Method) and node.name.startswith("test"):
                    yield of, node


def _is_told(method: Method, entry_point: str, told: Told) -> bool:
    calls = list(_values(method, entry_point))
    return bool(calls) and all(
        call is not None and told.shows(entry_point, *call) for call in calls
    )


def _examples(prompt: str, entry_point: str) -> Iterator[str]:
    """The calls of the doctest lines in a prompt, with the values of names in their place."""
    lines = re.findall(r"(?m)^\s*(?:>>>|\.\.\.) ?(.*)$", prompt)
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        for call in _values(ast.parse("\n".join(lines)), entry_point):
            if call is not None:
                yield written_call(entry_point, *call)


def _values(tree: ast.AST, name: str) -> Iterator[Call | None]:
    """The arguments of each call of a function; None where one is not a literal, nor a name that
    is given one once and for all.
    """
    given: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            given.setdefault(node.id, []).append(None)
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=known)], value=value) if given[known] == [None]:
                given[known] = [value]

    def value_of(node: ast.expr) -> Any:
        known = given.get(node.id, [None])[0] if isinstance(node, ast.Name) else node
        if known is None:
            raise ValueError(f"{ast.unparse(node)} is not known")
        return ast.literal_eval(known)

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            try:
                yield (
                    [value_of(each) for each in node.args],
                    [(each.arg or "**", value_of(each.value)) for each in node.keywords],
                )
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                yield None
