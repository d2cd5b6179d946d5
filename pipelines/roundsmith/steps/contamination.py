"""Training rows that give away a held-out task: its prompt, its description or its program."""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from roundsmith.hashing import content_hash
from roundsmith.recipes.identities import prompt_json
from roundsmith.recipes.prompts import FENCE
from roundsmith.recipes.styles import ChatStyle, CompletionStyle, without_docstrings
from roundsmith.types import Example, Prompt, Row, Task


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What no training row may repeat."""

    prompts: frozenset[str]
    descriptions: frozenset[str]
    programs: frozenset[str]

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> "HeldOut":
        """The prompts in either style, descriptions and references of tasks."""
        styles = (CompletionStyle(), ChatStyle())
        return cls(
            frozenset(_prompt(style.code(t, t.description)) for t in tasks for style in styles),
            frozenset(words(task.description) for task in tasks),
            frozenset(
                structure(task.reference, task.entry_point) for task in tasks if task.reference
            ),
        )

    def repeats(self, row: Row, task: Task | None) -> bool:
        """Whether a row, made from a training task, repeats one of these."""
        if _prompt(row.prompt) in self.prompts:
            return True
        if task is None:
            return False
        answer = row.completion if isinstance(row, Example) else row.chosen
        body = answer.removesuffix(FENCE).strip("\n")
        return (
            words(task.description) in self.descriptions
            or structure(f"{task.head.rstrip()}\n{body}\n", task.entry_point) in self.programs
        )


def repeated(rows: Iterable[Row], tasks: Mapping[str, Task], held_out: HeldOut) -> tuple[str, ...]:
    """For each row that repeats a held-out task, the id of the one it was made from; `tasks` are
    these by id.

    Descriptions are compared by their words, programs by their syntax tree, so a paraphrase or a
    program written in another way is not found.
    """
    return tuple(
        row.provenance.task_id
        for row in rows
        if held_out.repeats(row, tasks.get(row.provenance.task_id))
    )


def gives_away(task: Task, held_out: HeldOut) -> bool:
    """Whether a task has the description or the reference of a held-out one, compared likewise."""
    if words(task.description) in held_out.descriptions:
        return True
    program = task.reference and structure(task.reference, task.entry_point)
    return program in held_out.programs


def words(text: str) -> str:
    """The words and numbers of a text in lower case: layout and punctuation do not tell texts
    apart.
    """
    return " ".join(re.findall(r"\w+", text.casefold()))


@lru_cache(maxsize=4096)
def structure(program: str, entry_point: str) -> str:
    """The syntax tree of a program without docstrings, comments, layout, tests below it and the
    entry point's name; its words where it does not parse. The last ones are remembered: a
    comparison reads the same tasks for every seed.
    """
    try:
        tree = ast.parse(without_docstrings(program))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return words(program)
    tree.body = [node for node in tree.body if not isinstance(node, ast.Assert)]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == entry_point:
            node.name = "_"
        elif isinstance(node, ast.Name) and node.id == entry_point:
            node.id = "_"
    return ast.dump(tree)


def _prompt(prompt: Prompt) -> str:
    return content_hash("prompt", prompt_json(prompt))
