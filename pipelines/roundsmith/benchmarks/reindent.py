"""Four spaces a level, whatever a program was written with, to follow a docstring of ours."""

import ast
import io
import tokenize
import warnings

STRINGS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
SKIPPED = {tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT}


def reindent(source: str) -> str:
    """The same program with four spaces a level; unchanged where that would change what it means.

    Lines inside strings stay as they are, continuation lines move with the line that they continue,
    comments align with the statement below them. A source that does not parse is returned as it is.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.dump(ast.parse(source))
            moved = _moved(source)
            same = ast.dump(ast.parse(moved)) == tree
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return source
    return moved if same else source


def _moved(source: str) -> str:
    lines = [line.rstrip() for line in source.split("\n")]
    raw = source.split("\n")
    depth_by_line, inside = _logical_lines(source)
    shift = depth = 0
    for at in range(
        len(raw) - 1, -1, -1
    ):  # upwards, so that a comment finds the depth of what follows
        depth = depth_by_line.get(at + 1, depth)
        if raw[at].lstrip().startswith("#") and at + 1 not in inside:
            depth_by_line.setdefault(at + 1, depth)
    for at, line in enumerate(raw):
        if at + 1 in inside:
            lines[at] = line
            continue
        width = len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip())
        if at + 1 in depth_by_line:
            shift = 4 * depth_by_line[at + 1] - width
        text = line.strip() if at + 2 not in inside else line.lstrip()
        lines[at] = " " * max(0, width + shift) + text if text else ""
    return "\n".join(lines)


def _logical_lines(source: str) -> tuple[dict[int, int], set[int]]:
    """Depth by first line of each statement, and the lines that begin inside a string."""
    depth, fresh = 0, True
    depth_by_line: dict[int, int] = {}
    inside: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        depth += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
        if token.type in STRINGS:
            inside.update(range(token.start[0] + 1, token.end[0] + 1))
        if fresh and token.type not in SKIPPED:
            depth_by_line[token.start[0]] = depth
        fresh = token.type == tokenize.NEWLINE or (fresh and token.type in SKIPPED)
    return depth_by_line, inside
