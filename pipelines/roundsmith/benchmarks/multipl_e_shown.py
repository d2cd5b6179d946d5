"""Which asserts of MultiPL-E's rows the prompt shows, and how they are run apart from the others.

An assert is one line of the published tests. It is shown when the comment above the signature holds
a call of the function with the same text, which is how translated doctests are written, or with the
same literals in the same order, which is how the others are: `f([1, 2], True)` shows
`candidate((std::vector<long>({(long)1, (long)2})), (true))`. Told apart are neither `1` nor `1.0`
from their types, nor `f([1], [2])` from `f([1, 2])`.
"""

import re
from collections.abc import Iterator

from roundsmith.benchmarks.asserted import SHOWN
from roundsmith.benchmarks.multipl_e_tests import Language

TESTS = "tests"
_OPENS, _CLOSES = "([{", ")]}"
_STRING = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_TOKEN = re.compile(rf"{_STRING}|[(\[{{)\]}}]")
_LITERAL = re.compile(
    rf"{_STRING}|(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
    r"|\b(?:[Tt]rue|[Ff]alse|None|undefined|nil|std::nullopt|Optional\.empty)\b"
)
_NONE = {"none", "undefined", "nil", "std::nullopt", "optional.empty"}
_CANDIDATE = re.compile(r"\bcandidate\s*:?=\s*(\w+)")


def parted(language: Language, tests: str, prompt: str, name: str) -> tuple[str, tuple[str, ...]]:
    """The tests and the ids of what is run of them: `tests` where the prompt shows none, `shown`
    where it shows all; else both, and the script runs the asserts that are shown when there is
    standard input, and the others when there is none.
    """
    lines = tests.split("\n")
    cases = {
        at: case.groups() for at, line in enumerate(lines) if (case := language.case.match(line))
    }
    comment = "\n".join(
        line.strip().removeprefix("//")
        for line in prompt.split("\n")
        if line.strip().startswith("//")
    )
    alias = _CANDIDATE.search(tests)
    names = {name, *([alias[1]] if alias else ()), *(called for called, _ in cases.values())}
    told = [arguments for each in names for arguments in _calls(comment, each)]
    seen = [at for at, (_, rest) in cases.items() if _is_shown(_balanced(rest), told)]
    in_a_row = list(cases) == list(range(min(cases, default=0), max(cases, default=-1) + 1))
    if not seen or (len(seen) < len(cases) and not in_a_row):
        return tests, (TESTS,)
    if len(seen) == len(cases):
        return tests, (SHOWN,)
    begin, otherwise, end = language.branch
    chosen = [lines[at] for at in seen]
    others = [lines[at] for at in cases if at not in seen]
    above, below = lines[: min(cases)], lines[max(cases) + 1 :]
    whole = [*above, begin, *chosen, otherwise, *others, end, *below]
    return "\n".join(whole), (TESTS, SHOWN)


def _calls(text: str, name: str) -> Iterator[str]:
    """The arguments of each call of a name in a text, with their brackets."""
    for found in re.finditer(rf"(?<![\w.]){re.escape(name)}\(", text):
        if arguments := _balanced(text[found.end() - 1 :]):
            yield arguments


def _balanced(text: str) -> str:
    """What a text begins with, up to the bracket that closes its first one; empty without one."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in _OPENS) - (token[0] in _CLOSES)
        if depth == 0:
            return text[: token.end()]
    return ""


def _is_shown(arguments: str, told: list[str]) -> bool:
    literals = _literals(arguments)
    return bool(arguments) and any(
        _squeezed(arguments) == _squeezed(shown) or (literals and literals == _literals(shown))
        for shown in told
    )


def _literals(arguments: str) -> list[str]:
    """Strings, numbers and names of values, written alike whatever the language."""
    return [_alike(found[0]) for found in _LITERAL.finditer(arguments)]


def _alike(literal: str) -> str:
    if literal[0] in "\"'":
        return f'"{literal[1:-1]}"'
    word = literal.lower()
    return "none" if word in _NONE else word


def _squeezed(text: str) -> str:
    return "".join(text.split())
