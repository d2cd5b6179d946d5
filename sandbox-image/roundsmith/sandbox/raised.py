"""What the program raises, as a tester sees it: an exception of the same class where that is
Python's own, else of one made here, below the same classes.

Not handled: what an exception holds that does not cross, and a class of the program's that is more
than a name and its bases.
"""

import ast
import builtins
import sys
from collections.abc import Iterator
from typing import Any

from roundsmith.sandbox.codec import encode
from roundsmith.sandbox.exposure import crosses
from roundsmith.sandbox.failures import Lineage, Name, describe, lineage

_MOST_BYTES = 2**16
_MOST_CAUSES = 4
_JUDGES = "unittest"
"""What a method is skipped by is not the program's to raise."""


def described(error: BaseException, causes: int = _MOST_CAUSES) -> tuple[Any, ...]:
    """In the solver: the lineage of what was raised, its arguments and its attributes, None for
    those that are not plain, and the same with a text before of what it was raised from.
    """
    cause, told = error.__cause__, None
    if causes and isinstance(cause, Exception):
        told = describe(cause), *described(cause, causes - 1)
    return lineage(type(error)), _sent(error.args), _sent(dict(error.__dict__)), told


def _sent(value: Any) -> Any:
    return value if crosses(value) and len(encode(value)) <= _MOST_BYTES else None


def caught(tree: ast.AST) -> Iterator[str]:
    """The names that a test expects exceptions by."""
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=ast.expr() as expected):
                yield from _names(expected)
            case ast.Call(func=ast.Attribute(attr=word) | ast.Name(id=word), args=[expected, *_]):
                if word.startswith(("assertRaises", "raises")):
                    yield from _names(expected)


def raised_by(tree: ast.AST) -> list[type[BaseException]]:
    """The classes of what a test raises itself: by `assert`, and Python's own that it names."""
    found: list[type[BaseException]] = [AssertionError]
    for node in ast.walk(tree):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name)) | ast.Name(id=name)):
                kind = _own((builtins.__name__, name))
                found += [] if kind is None else [kind]
    return found


def _names(tree: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


class Classes:
    """The exception classes of a tester, one for each of the program's."""

    def __init__(self) -> None:
        self._made: dict[Name, type[BaseException]] = {}

    def stand_in(self, lineage: Lineage) -> type[BaseException]:
        """The class of a lineage. A program may have said anything: what is no lineage of an
        exception raises ValueError, TypeError or KeyError.
        """
        found: dict[Name, type[BaseException]] = {}
        for name, bases in lineage:
            found[name] = _own(name) or self._made.get(name) or self._make(name, bases, found)
        return found[lineage[-1][0]]

    def _make(
        self, name: Name, bases: list[Name], found: dict[Name, type[BaseException]]
    ) -> type[BaseException]:
        made = type(name[1].rpartition(".")[2], tuple(found[base] for base in bases), {})
        if not issubclass(made, Exception):
            raise TypeError(f"{name[1]} is no Exception")
        self._made[name] = made
        return made

    def raised(self, lineage: Lineage, args: Any, attributes: Any, text: str) -> BaseException:
        """An exception of a lineage, of these arguments where they crossed, else of the text."""
        kind, args = self.stand_in(lineage), (text,) if args is None else args
        try:
            error = kind(*args)
        except Exception:
            error = kind.__new__(kind)
            error.args = args
        if attributes:
            error.__dict__.update(attributes)
        return error


def _own(name: Name) -> type[BaseException] | None:
    """Python's own class of that name, where this process has it."""
    module, qualified = name
    if module != builtins.__name__ and not (
        module.partition(".")[0] in sys.stdlib_module_names and not module.startswith(_JUDGES)
    ):
        return None
    found = getattr(sys.modules.get(module), qualified, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
