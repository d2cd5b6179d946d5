"""Training rows that give away a held-out task: its prompt, its description or its program."""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from textwrap import dedent

from roundsmith.hashing import content_hash
from roundsmith.recipes.identities import prompt_json
from roundsmith.recipes.prompts import FENCE as CLOSING
from roundsmith.recipes.snippets import FENCE, code_of
from roundsmith.recipes.styles import (
    ChatStyle,
    CompletionStyle,
    style_of_prompt,
    without_docstrings,
)
from roundsmith.steps.banned import text_of
from roundsmith.steps.shingles import words_of
from roundsmith.types import Example, Prompt, Row, Task


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What no training row may repeat."""

    prompts: frozenset[str]
    descriptions: frozenset[str]
    programs: frozenset[str]
    """Without the name of their entry point."""
    nameless: frozenset[str]
    """Without the names of all their functions, for answers that no entry point is known of."""

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> "HeldOut":
        """The prompts in either style, descriptions and references of tasks."""
        styles = (CompletionStyle(), ChatStyle())
        references = [(t.reference, t.entry_point) for t in tasks if t.reference]
        return cls(
            frozenset(_prompt(style.code(t, t.description)) for t in tasks for style in styles),
            frozenset(words(task.description) for task in tasks),
            frozenset(structure(program, name) for program, name in references),
            frozenset(structure(program, None) for program, _ in references),
        )

    def repeats(self, row: Row, task: Task | None) -> bool:
        """Whether a row, made from a training task, repeats one of these."""
        if _prompt(row.prompt) in self.prompts:
            return True
        if task is None:
            return False
        answer = row.completion if isinstance(row, Example) else row.chosen
        descriptions = {words(task.description), " ".join(asked(row.prompt, task))} - {""}
        return bool(descriptions & self.descriptions) or self._answered(task, answer)

    def holds(self, answer: str) -> bool:
        """Whether an answer without a code head is one of the programs, or a block in it is."""
        return any(structure(program, None) in self.nameless for program in _programs(answer))

    def _answered(self, task: Task, answer: str) -> bool:
        if not task.head:
            return self.holds(answer)
        body = answer.removesuffix(CLOSING).strip("\n")
        program = f"{task.head.rstrip()}\n{body}\n"
        if structure(program, task.entry_point) in self.programs:
            return True
        return FENCE in body and self.holds(body)


def repeated(rows: Iterable[Row], tasks: Mapping[str, Task], held_out: HeldOut) -> tuple[str, ...]:
    """For each row that repeats a held-out task, the id of the one it was made from; `tasks` are
    these by id.

    Descriptions are compared by their words, programs by their syntax tree, so a paraphrase, a
    program written in another way, or one below prose without a fence is not found.
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
    if task.reference is None:
        return False
    if not task.head:
        return held_out.holds(task.reference)
    return structure(task.reference, task.entry_point) in held_out.programs


def words(text: str) -> str:
    """The words and numbers of a text in lower case: layout and punctuation do not tell texts
    apart.
    """
    return " ".join(words_of(text))


def asked(prompt: Prompt, task: Task) -> list[str]:
    """The words of the description in a prompt: those that a prompt without one has not, at its
    beginning and at its end.
    """
    frame = text_of(style_of_prompt(prompt).code(task, ""))
    return list(_between(text_of(prompt), frame))


@lru_cache(maxsize=64)
def _between(text: str, around: str) -> Sequence[str]:
    """All rows of a task are asked by one prompt."""
    said, frame = words_of(text), words_of(around)
    before = sum(1 for _ in takewhile(_same, zip(said, frame, strict=False)))
    ends = zip(reversed(said[before:]), reversed(frame[before:]), strict=False)
    after = sum(1 for _ in takewhile(_same, ends))
    return tuple(said[before : len(said) - after])


def _same(both: tuple[str, str]) -> bool:
    return both[0] == both[1]


@lru_cache(maxsize=4096)
def structure(program: str, entry_point: str | None) -> str:
    """The syntax tree of a program without docstrings, comments, layout, tests below it and the
    entry point's name; its words where it has none. Without an entry point that is known, each of
    its functions has its number for a name, and what stands below the last one, such as an example
    of its use, is left out. The last ones are remembered: a comparison reads the same tasks for
    every seed.
    """
    try:
        tree = ast.parse(program)
        nodes = list(ast.walk(tree))
        if any(_begins_with_text(node) for node in nodes):
            tree = ast.parse(without_docstrings(program))
            nodes = list(ast.walk(tree))
        tree.body = [node for node in tree.body if not isinstance(node, ast.Assert)]
        if entry_point is None:
            _cut_below_definitions(tree)
            nodes = list(ast.walk(tree))
        _rename(nodes, entry_point)
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return words(program)


def _begins_with_text(node: ast.AST) -> bool:
    """Whether a definition may have a docstring."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    first = node.body[0]
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)


def _cut_below_definitions(tree: ast.Module) -> None:
    defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    last = [at for at, node in enumerate(tree.body) if isinstance(node, defined)][-1:]
    for at in last:
        del tree.body[at + 1 :]


def _rename(nodes: Sequence[ast.AST], entry_point: str | None) -> None:
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    names: dict[str, str] = {}
    if entry_point is not None:
        names[entry_point] = "_"
    else:
        for function in functions:
            names.setdefault(function.name, f"_{len(names)}")
    for function in functions:
        function.name = names.get(function.name, function.name)
    for node in nodes:
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)


def _programs(answer: str) -> set[str]:
    """What may be a program in an answer: the whole, what stands between any two fences, all blocks
    one below the other, and what the outermost fences hold, where a docstring has some of its own.
    """
    first, *rest = re.split("`{3,}|~{3,}", answer)
    pieces = [_code(piece) for piece in rest]
    found = {answer, first, *pieces, "\n".join(pieces[::2]), _code(FENCE.join(rest[:-1]))}
    return {program for program in found if program.strip()}


def _code(piece: str) -> str:
    """What stands below a fence, without the rest of the fence's own line."""
    return dedent(code_of(f"{FENCE}{piece}"))


def _prompt(prompt: Prompt) -> str:
    return content_hash("prompt", prompt_json(prompt))
