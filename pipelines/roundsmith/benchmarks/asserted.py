"""Which asserts a prompt shows: those whose call it writes out. A strict score does not count them.

Calls are compared as texts without white space, one kind of quote for both: `f([1, 2], 'a')` is
shown by `>>> f([1,2], "a")`. A call that the prompt writes with other but equal arguments (`1.0`
for `1`), or tells in words alone, is not found.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from roundsmith.types import AssertTest, CallTest, StdioTest, Task, Test

CHECK, SHOWN = "check", "shown"


class Told:
    """What a model is told, ready to be asked for calls and for texts."""

    def __init__(self, *texts: str | None) -> None:
        self._words = [" ".join(text.split()) for text in texts if text]
        self._texts = [_squeezed(text) for text in texts if text]

    def shows(self, name: str, args: Sequence[Any], kwargs: Sequence[tuple[str, Any]] = ()) -> bool:
        """Whether the call of a function with these values is written out."""
        return self._has(written_call(name, args, kwargs))

    def shows_all(self, source: str, name: str, alias: str = "") -> bool:
        """Whether every call of `name`, or of `alias` in its place, in a test's source is written
        out; a source that does not parse or calls nothing shows nothing.
        """
        try:
            found = list(_calls(source, {name, alias}))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        return bool(found) and all(
            any(self._has(f"{name}{arguments}") for arguments in ways) for ways in found
        )

    def says(self, *texts: str) -> bool:
        """Whether each of these texts stands in what is told; an empty one does not."""
        wanted = [" ".join(text.split()) for text in texts]
        return all(want and any(want in words for words in self._words) for want in wanted)

    def _has(self, call: str) -> bool:
        # Before the name stands no letter: `add(1)` is not shown by `badd(1)`.
        pattern = re.compile(rf"(?<![\w.]){re.escape(_squeezed(call))}")
        return any(pattern.search(text) for text in self._texts)


def written_call(name: str, args: Sequence[Any], kwargs: Sequence[tuple[str, Any]] = ()) -> str:
    """A call with these values as Python writes it."""
    values = [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs)]
    return f"{name}({', '.join(values)})"


def shown_tests(task: Task) -> frozenset[str]:
    """The ids of the tests that the prompt of a task shows."""
    told = Told(task.description, task.example, task.head)
    return frozenset(test.test_id for test in task.tests if _is_shown(test, task, told))


def hidden_first(task: Task) -> Task:
    """The task with the tests that its prompt shows behind the others: a row that ends at its first
    failure then says all of the others.
    """
    seen = shown_tests(task)
    return replace(task, tests=tuple(sorted(task.tests, key=lambda test: test.test_id in seen)))


def parted(check: str, entry_point: str, prompt: str) -> Iterator[tuple[str, str]]:
    """A source with HumanEval's `check(candidate)` as (test id, source): without the asserts that
    the prompt shows, and with those alone; as it is where it shows none, or all.
    """
    told = Told(prompt)
    tree = ast.parse(check)
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == CHECK)
    alias = function.args.args[0].arg if function.args.args else ""
    seen = [
        isinstance(node, ast.Assert) and told.shows_all(ast.unparse(node), entry_point, alias)
        for node in function.body
    ]
    asserts = [isinstance(node, ast.Assert) for node in function.body]
    if not any(seen) or seen == asserts:
        yield (SHOWN if any(seen) else CHECK), check
        return
    whole = function.body
    for name, kept in ((CHECK, False), (SHOWN, True)):
        function.body = [
            node
            for node, is_assert, is_seen in zip(whole, asserts, seen, strict=True)
            if not is_assert or is_seen is kept
        ]
        yield name, ast.unparse(tree)


def _is_shown(test: Test, task: Task, told: Told) -> bool:
    if test.test_id.partition("-")[0] == SHOWN:
        return True
    match test:
        case CallTest():
            return told.shows(test.entry_point, test.args, list(test.kwargs.items()))
        case AssertTest():
            return told.shows_all(test.source, task.entry_point)
        case StdioTest():
            return told.says(test.stdin, test.stdout)
    return False


def _calls(source: str, names: set[str]) -> Iterator[tuple[str, str]]:
    """What follows the name in calls of these names, as it is written and as Python writes it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            written = ast.get_source_segment(source, node) or ""
            plain = ", ".join(map(ast.unparse, (*node.args, *node.keywords)))
            yield written[len(node.func.id) :], f"({plain})"


def _squeezed(text: str) -> str:
    """Without white space but between two words."""
    return re.sub(r"(?<!\w) | (?!\w)", "", " ".join(text.split())).replace('"', "'")
