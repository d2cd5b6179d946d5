"""MultiPL-E: HumanEval and MBPP in other languages, all `final`; read are C++ and JavaScript, which
the executor's profiles `cpp` and `node` run.

The prompt is the published one, and its tests are put below a completion. They share the program's
process, as in MultiPL-E, which asks for the exit status alone. Here the end of the tests must be
reached too; what a program prints while it is tested is dropped, and what it prints before that
fails it.

Not read: the other languages. Go's tests are run by `go test` and Java's need a library beside the
compiler, neither of which a profile of ours has.
"""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import Filled, PublishedRow, checked
from roundsmith.benchmarks.verbatim import BELOW, FENCE, PROFILE, PROMPT, STOPS, passed_word
from roundsmith.types import OwnLimits, Split, StdioTest, Task

LICENCE = "MIT"
LIMITS = OwnLimits(cpu_s=5.0)
_NAME = re.compile(r"(HumanEval|mbpp)_(\d+)_(\w+)")
_MAIN = re.compile(r"int\s+main\s*\([^)]*\)\s*\{")


class MultiplERow(PublishedRow):
    """What we read of a row."""

    name: Filled
    language: Filled
    prompt: Filled
    tests: Filled
    stop_tokens: list[str]


class Language(NamedTuple):
    """How one language is run. `tested` makes its tests say a word when they came to their end."""

    profile: str
    fence: str
    tested: Callable[[str, str], str]


def is_multipl_e(fields: Fields) -> bool:
    """Whether a row has the fields that only MultiPL-E has."""
    return {"prompt", "tests", "stop_tokens"} <= fields.keys()


def multipl_e_task(fields: Fields) -> Task:
    """One row as a task with one test. Raises BadField, also for a language that is not read."""
    row = checked(MultiplERow, fields)
    language = LANGUAGES.get(row.language)
    if language is None:
        raise BadField("language", shown(row.language), f"one of {', '.join(LANGUAGES)}")
    named = _NAME.fullmatch(row.name)
    if named is None:
        raise BadField("name", shown(row.name), "HumanEval_N_name or mbpp_N_name")
    task_id = f"multipl-e/{row.language}/{row.name}"
    word = passed_word(task_id)
    return Task(
        task_id=task_id,
        split=Split.FINAL,
        description=_described(row.prompt),
        head=row.prompt,
        entry_point=named[3],
        tests=(StdioTest("tests", "", word, limits=LIMITS),),
        source=f"multipl-e-{named[1].lower()}",
        licence=LICENCE,
        meta={
            "language": row.language,
            PROFILE: language.profile,
            PROMPT: row.prompt,
            FENCE: language.fence,
            STOPS: json.dumps(row.stop_tokens),
            BELOW: language.tested(row.tests, word),
        },
    )


def _described(prompt: str) -> str:
    """The words of the comment above the signature."""
    lines = [line.strip() for line in prompt.splitlines()]
    return "\n".join(x.removeprefix("//").strip() for x in lines if x.startswith("//")) or prompt


def _cpp(tests: str, word: str) -> str:
    """`main` takes standard output away while it tests, and gives it the word at its end."""
    found = _MAIN.search(tests)
    last = tests.rstrip()
    if found is None or not last.endswith("}"):
        raise BadField("tests", shown(tests), "a function main that ends them")
    before, inside = tests[: found.start()], last[found.end() : -1]
    return (
        f"{before}#include <unistd.h>\nint main() {{\n    int kept_output = dup(1);\n"
        "    close(1);\n"
        f'{inside}\n    return write(kept_output, "{word}\\n", {len(word) + 1}) < 0;\n}}\n'
    )


def _javascript(tests: str, word: str) -> str:
    return (
        "const keptOutput = process.stdout.write.bind(process.stdout);\n"
        f"process.stdout.write = () => true;\n{tests.rstrip()}\n"
        f"keptOutput({json.dumps(word)} + '\\n');\n"
    )


LANGUAGES = {
    "cpp": Language("cpp", "cpp", _cpp),
    "js": Language("node", "javascript", _javascript),
}
