"""The code inside an answer of an instruction corpus, by InverseCoder's released rule."""

import ast

FENCE = "```"


def first_code_block(answer: str) -> str | None:
    """The first fenced block of an answer, with its fences and language and no prose; None where
    there is no code.

    Without a fence the whole answer is the code, in a Python fence, if it parses as Python. A fence
    that is not closed is closed at the end. Where the release looks for the closing fence one
    character after the first, which breaks on four backticks, this looks after the whole of it.
    """
    start = answer.find(FENCE)
    if start < 0:
        return f"{FENCE}python\n{answer.strip()}\n{FENCE}" if _is_python(answer) else None
    opened = start + len(answer[start:]) - len(answer[start:].lstrip("`"))
    end = answer.find(FENCE, opened)
    block = answer[opened:] if end < 0 else answer[opened:end]
    return f"{FENCE}{block.rstrip()}\n{FENCE}" if code_of(f"{FENCE}{block}") else None


def language_of(block: str) -> str:
    """What stands after the first fence on its line; empty where nothing does."""
    return block.removeprefix(FENCE).partition("\n")[0].strip()


def code_of(block: str) -> str:
    """The lines between the fences of a block."""
    return block.removeprefix(FENCE).partition("\n")[2].removesuffix(FENCE).strip("\n")


def _is_python(text: str) -> bool:
    try:
        return bool(ast.parse(text).body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
