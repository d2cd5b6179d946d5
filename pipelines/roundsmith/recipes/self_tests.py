"""Which of the tests that a model wrote ask something of a program."""

import ast

MAX_CHARACTERS = 2000
MAX_DEPTH = 24
"""Of what is nested in an assert; well within what the executor's codec carries."""


def asserts(source: str, entry_point: str) -> bool:
    """Whether a self-made test is one assert that a program can fail by what it returns.

    It must parse, hold exactly one statement, call the entry point by name, and not compare a thing
    with itself: an empty test, or one that calls nothing, would pass whatever the program does.
    Whether what it asserts is right can not be told here.
    """
    if len(source) > MAX_CHARACTERS:
        return False
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    if len(body) != 1 or not isinstance(body[0], ast.Assert):
        return False
    asked = body[0].test
    return _calls(asked, entry_point) and not _vacuous(asked) and _depth(asked) <= MAX_DEPTH


def _calls(asked: ast.expr, entry_point: str) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == entry_point
        for node in ast.walk(asked)
    )


def _vacuous(asked: ast.expr) -> bool:
    """What compares a thing with itself, and what may hold of any value: a tuple, `or True`."""
    if isinstance(asked, ast.Compare):
        sides = [ast.dump(side) for side in (asked.left, *asked.comparators)]
        return len(set(sides)) < len(sides)
    return not isinstance(asked, ast.Call | ast.UnaryOp)


def _depth(node: ast.AST) -> int:
    """The nesting of a tree, without recursion of our own."""
    deepest, layer = 0, [node]
    while layer:
        deepest += 1
        layer = [child for parent in layer for child in ast.iter_child_nodes(parent)]
    return deepest
