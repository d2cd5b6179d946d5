"""Tasks whose benchmark fixes the prompt to the letter, or how a program is run: what is told of it
in their meta.

A user's own rows may name `profile` too.
"""

import json
import re

from roundsmith.hashing import content_hash
from roundsmith.types import Task

PROFILE = "profile"
"""The executor's profile that programs of the task run in; `base` where it is not named."""
SCIENTIFIC = "scientific"
LIBRARIES = frozenset({"numpy", "pandas"})
"""What `scientific` has and `base` has not."""
PROMPT = "prompt"
"""The published prompt: a base model continues it as it is, a chat model is asked with it."""
FENCE = "fence"
"""The language that the code in a chat model's answer is fenced as."""
STOPS = "stops"
"""What ends a completion, as a JSON list."""
ABOVE = "above"
"""Code that a program is run below, and may use: what its benchmark imports for every program."""
BELOW = "below"
"""Code that is put below a program before it is run as a script."""
REPLACED = "replaced"
"""What is replaced in a program before its test is put below it, each once: a JSON list of regular
expression and text.
"""
AS_TEXT = "as_text"
"""The name under which `BELOW` finds the program as a string, in the place of the program."""
RESERVED = frozenset({PROMPT, FENCE, STOPS, ABOVE, BELOW, REPLACED, AS_TEXT, "style"})
"""What no user's own row may have in its meta: it would change its prompt, or how it is run."""


def profile_of(task: Task) -> str:
    """The profile that the task's programs run in."""
    return task.meta.get(PROFILE, "base")


def stops_of(task: Task, usual: tuple[str, ...]) -> tuple[str, ...]:
    """What ends a completion of the task's prompt: its benchmark's stops, or the `usual` ones."""
    stops = task.meta.get(STOPS)
    return usual if stops is None else tuple(json.loads(stops))


def with_test(task: Task, program: str) -> str | None:
    """The script that judges a program, where the benchmark puts its test below it; None for other
    tasks.
    """
    below = task.meta.get(BELOW)
    if below is None:
        return None
    for pattern, text in json.loads(task.meta.get(REPLACED, "[]")):
        if found := re.search(pattern, program):
            program = program[: found.start()] + text + program[found.end() :]
    name = task.meta.get(AS_TEXT)
    above = program.rstrip() if name is None else f"{name} = {program!r}"
    return f"{above}\n{below}"


def passed_word(task_id: str) -> str:
    """What a script prints when its test came to the end, so that a program which exits before has
    not passed.
    """
    return f"passed {content_hash('passed', task_id)[:16]}"
