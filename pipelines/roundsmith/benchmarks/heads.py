"""From a reference program to the code head that a model is given."""

import ast
import io
import tokenize
import warnings
from dataclasses import dataclass

from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.reindent import reindent

Def = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Arranged:
    """A head, to the end of the entry point's def line, and a reference that begins with it."""

    head: str
    reference: str


@dataclass(frozen=True, slots=True)
class _Part:
    """One top-level statement with the comments above it."""

    node: ast.stmt
    text: str


def parse(source: str, field: str, expected: str = "Python 3 source") -> ast.Module:
    """The syntax tree; raises BadField with the parser's message and line."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # invalid escapes in a user's strings are not ours to report
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise BadField(field, f"{error} in {shown(source, 60)}", expected) from error


def unix_lines(source: str) -> str:
    """The source with the line ends that Python itself reads it with."""
    return source.replace("\r\n", "\n").replace("\r", "\n")


def defined_names(tree: ast.Module) -> tuple[str, ...]:
    """The names of the functions and classes that a module defines at its top level, in order."""
    return tuple(n.name for n in tree.body if isinstance(n, Def | ast.ClassDef))


def imported_modules(tree: ast.Module) -> frozenset[str]:
    """The modules that a source imports, by the first part of their names."""
    nodes = list(ast.walk(tree))
    whole = [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
    parts = [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module]
    return frozenset(name.partition(".")[0] for name in (*whole, *parts))


def arrange(code: str, entry_point: str, needed: frozenset[str], field: str) -> Arranged:
    """GiFT's head (all lines up to the first def line), made to lead to what the tests call.

    Functions and classes before the entry point that neither the tests (`needed`) nor a statement
    run at import use are put after it: the head gives no helper away and ends with the entry
    point's def line. Indentation becomes four spaces a level, as in the docstring that prompts put
    below the head; the entry point's own docstring is left out. Raises BadField when the code
    defines no such function.
    """
    source = reindent(unix_lines(code))
    parts = _parts(source, parse(source, field))
    at = _entry_index(parts, entry_point, field)
    kept = _kept(parts[:at], needed)
    before = [part.text for part in parts[:at] if _stays(part, kept)]
    moved = [part.text for part in parts[:at] if not _stays(part, kept)]
    signature, body, hoisted = _split_function(parts[at])
    head = "\n".join([*hoisted, *before, signature]).strip("\n")
    after = [*moved, *(part.text for part in parts[at + 1 :])]
    reference = "\n".join([head, body, *(f"\n{text}" for text in after)])
    return Arranged(head, reference.rstrip() + "\n")


def signature_end(source: str) -> tuple[int, int]:
    """Where the first def's signature ends: (line from 1, column after its colon)."""
    depth, seen_def = 0, False
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and token.string == "def":
            seen_def = True
        elif token.type == tokenize.OP and seen_def:
            depth += (token.string in "([{") - (token.string in ")]}")
            if token.string == ":" and depth == 0:
                return token.end
    raise AssertionError("a parsed function has a colon")


def _parts(source: str, tree: ast.Module) -> list[_Part]:
    lines = source.split("\n")
    parts, done = [], 0
    for node in tree.body:
        end = node.end_lineno or node.lineno
        if end > done:  # statements that share a line stay together, under the first
            parts.append(_Part(node, "\n".join(lines[done:end]).strip("\n")))
            done = end
    return parts


def _entry_index(parts: list[_Part], entry_point: str, field: str) -> int:
    found = [
        i for i, p in enumerate(parts) if isinstance(p.node, Def) and p.node.name == entry_point
    ]
    if not found:
        names = [part.node.name for part in parts if isinstance(part.node, Def)]
        raise BadField(field, f"functions {names}", f"a top-level function {entry_point!r}")
    return found[-1]


def _stays(part: _Part, kept: frozenset[str]) -> bool:
    return not isinstance(part.node, Def | ast.ClassDef) or part.node.name in kept


def _kept(parts: list[_Part], needed: frozenset[str]) -> frozenset[str]:
    kept, grown = frozenset[str](), needed
    while grown != kept:
        kept = grown
        grown = kept.union(*(_import_time_names(part.node) for part in parts if _stays(part, kept)))
    return kept


def _import_time_names(node: ast.stmt) -> frozenset[str]:
    """The names that running the statement reads; of a function only its def line runs."""
    roots: list[ast.AST] = [node]
    if isinstance(node, Def):
        roots = [
            *node.decorator_list,
            *node.args.defaults,
            *(d for d in node.args.kw_defaults if d),
        ]
    return frozenset(n.id for root in roots for n in ast.walk(root) if isinstance(n, ast.Name))


def _split_function(part: _Part) -> tuple[str, str, list[str]]:
    """Signature, body without its docstring, and imports that stood above that docstring."""
    line, column = signature_end(part.text)
    lines = part.text.split("\n")
    signature = "\n".join([*lines[: line - 1], lines[line - 1][:column]])
    inline = lines[line - 1][column:].strip()
    body = [f"    {inline}"] if inline and not inline.startswith("#") else []
    rest = lines[line:]
    node = parse(part.text, "").body[0]
    assert isinstance(node, Def)
    at = next((i for i, statement in enumerate(node.body) if _is_text(statement)), None)
    if at is None or at == len(node.body) - 1 or inline:
        return signature, "\n".join([*body, *rest]), []
    if not all(isinstance(statement, ast.Import | ast.ImportFrom) for statement in node.body[:at]):
        return signature, "\n".join(rest), []
    end = node.body[at].end_lineno or 0
    return (
        signature,
        "\n".join(lines[end:]),
        [ast.unparse(statement) for statement in node.body[:at]],
    )


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
