"""MultiPL-E: HumanEval and MBPP in other languages, all `final`; read are C++, Go, Java and
JavaScript, which the executor's profiles `cpp`, `go`, `java` and `node` run. Asserts that the
prompt shows are a test of their own, `shown` (`multipl_e_shown`).

The prompt is the published one, and its tests are put below a completion. They share the program's
process, as in MultiPL-E, which asks for the exit status alone. Here the end of the tests must be
reached too; what a program prints while it is tested is dropped, and what it prints before that
fails it.

Go's tests are run by a `main` of ours in the place of `go test`, in the package `main`. Of the
library of tuples that Java's rows import there is `Pair` alone, which is what they use: a class of
ours. Not read: the other languages.
"""

import json
import re

from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.multipl_e_shown import parted
from roundsmith.benchmarks.multipl_e_tests import LANGUAGES
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import Filled, PublishedRow, checked
from roundsmith.benchmarks.verbatim import (
    BELOW,
    FENCE,
    PROFILE,
    PROMPT,
    REPLACED,
    STOPS,
    passed_word,
)
from roundsmith.types import OwnLimits, Split, StdioTest, Task

LICENCE = "MIT"
LIMITS = OwnLimits(cpu_s=5.0)
WRITTEN = {"go_test.go": "go"}
"""Languages as the published rows write them, by the end of a file's name, where ours is another
word.
"""
_NAME = re.compile(r"(HumanEval|mbpp)_(\d+)_(\w+)")


class MultiplERow(PublishedRow):
    """What we read of a row."""

    name: Filled
    language: Filled
    prompt: Filled
    tests: Filled
    stop_tokens: list[str]


def is_multipl_e(fields: Fields) -> bool:
    """Whether a row has the fields that only MultiPL-E has."""
    return {"prompt", "tests", "stop_tokens"} <= fields.keys()


def multipl_e_task(fields: Fields) -> Task:
    """One row as a task. Raises BadField, also for a language that is not read."""
    row = checked(MultiplERow, fields)
    spoken = WRITTEN.get(row.language, row.language)
    language = LANGUAGES.get(spoken)
    if language is None:
        raise BadField("language", shown(row.language), f"one of {', '.join(LANGUAGES)}")
    named = _NAME.fullmatch(row.name)
    if named is None:
        raise BadField("name", shown(row.name), "HumanEval_N_name or mbpp_N_name")
    task_id = f"multipl-e/{spoken}/{row.name}"
    word = passed_word(task_id)
    tests, ids = parted(language, row.tests, row.prompt, named[3])
    return Task(
        task_id=task_id,
        split=Split.FINAL,
        description=_described(row.prompt),
        head=row.prompt,
        entry_point=named[3],
        tests=tuple(
            StdioTest(name, "" if name == ids[0] else f"{name}\n", word, limits=LIMITS)
            for name in ids
        ),
        source=f"multipl-e-{named[1].lower()}",
        licence=LICENCE,
        meta={
            "language": spoken,
            PROFILE: language.profile,
            PROMPT: row.prompt,
            FENCE: language.fence,
            STOPS: json.dumps(row.stop_tokens),
            BELOW: language.tested(tests, word),
            REPLACED: json.dumps(language.replaced),
        },
    )


def _described(prompt: str) -> str:
    """The words of the comment above the signature."""
    lines = [line.strip() for line in prompt.splitlines()]
    return "\n".join(x.removeprefix("//").strip() for x in lines if x.startswith("//")) or prompt
