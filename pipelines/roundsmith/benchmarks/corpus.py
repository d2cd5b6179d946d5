"""Instruction corpora: files of instructions with answers, in the formats that are usual."""

from collections.abc import Callable
from pathlib import Path

from roundsmith.benchmarks.files import Fields, read_rows
from roundsmith.benchmarks.heads import unix_lines
from roundsmith.benchmarks.load import LoadedTasks
from roundsmith.benchmarks.problems import BadField, BadRow, Problem, refuse, shown
from roundsmith.errors import ConfigError
from roundsmith.hashing import file_sha256
from roundsmith.models.licence import known_licence
from roundsmith.types import Split, Task

PAIRS = (
    ("instruction", "response"),  # evol-instruct, as Magicoder and InverseCoder write it
    ("instruction", "output"),  # Alpaca, with an `input` that may be empty
    ("problem", "solution"),  # OSS-Instruct
    ("prompt", "completion"),
    ("prompt", "response"),
    ("query", "answer"),
    ("question", "answer"),
)
"""The names under which rows hold an instruction and its answer."""
TURNS = {"messages": ("role", "content"), "conversations": ("from", "value")}
"""Rows of turns: the first of a user or `human`, and the answer after it."""
ASKS, ANSWERS = {"user", "human"}, {"assistant", "gpt"}


def load_corpus(source: str, *, skip_bad_rows: bool = False) -> LoadedTasks:
    """The rows of a file as training tasks without tests: the instruction is the description, the
    answer the reference.

    Raises ConfigError that lists the first problems when a row is bad; with `skip_bad_rows` such
    rows are left out and listed in the result.
    """
    path = Path(source)
    tasks: list[Task] = []
    problems: list[Problem] = []
    for row in read_rows(path):
        if isinstance(row, Problem):
            problems.append(row)
            continue
        try:
            instruction, answer = _pair(row.fields)
        except BadRow as bad:
            problems.extend(bad.at(path.name, row.line))
        else:
            tasks.append(_task(f"{path.name}/{row.line}", instruction, answer, row.fields))
    if problems and (not skip_bad_rows or not tasks):
        raise refuse(problems, "corpus")
    if not tasks:
        raise ConfigError(f"{path}: saw no rows, expected instructions with answers")
    return LoadedTasks(tuple(tasks), tuple(problems), file_sha256(path))


def _task(name: str, instruction: str, answer: str, fields: Fields) -> Task:
    return Task(
        task_id=name,
        split=Split.TRAIN,
        description=instruction,
        head="",
        entry_point="",
        tests=(),
        reference=answer,
        source=name.rpartition("/")[0],
        licence=known_licence(fields.get("licence", fields.get("license"))),
    )


def _pair(fields: Fields) -> tuple[str, str]:
    """Instruction and answer of a row, whose lines end as Python's do. Raises BadRow when it has
    none that can be stored.
    """
    found = _both(fields)
    for text in found:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise BadField("", shown(text), "valid Unicode, no half of a surrogate pair")
    instruction, answer = map(unix_lines, found)
    return instruction, answer


def _both(fields: Fields) -> tuple[str, str]:
    for asked, answered in PAIRS:
        if asked in fields and answered in fields:
            instruction, answer = _texts(fields, asked, answered)
            if extra := str(fields.get("input") or "").strip():
                instruction = f"{instruction}\n\n{extra}"
            return instruction, answer
    for name, (role, content) in TURNS.items():
        if name in fields:
            return _turns(fields[name], name, role, content)
    known = [*(f"{a} and {b}" for a, b in PAIRS), *TURNS]
    raise BadField("", f"only the fields {sorted(fields)}", f"one of: {', '.join(known)}")


def _turns(turns: object, name: str, role: str, content: str) -> tuple[str, str]:
    """The first question of a conversation and the answer after it."""
    expected = f"a list of turns with {role} and {content}, a user's and then an assistant's"
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadField(name, shown(turns), expected)
    said = [(turn.get(role), turn.get(content)) for turn in turns if turn.get(role) != "system"]
    first = said[:2]
    speaks: list[Callable[[object], bool]] = [ASKS.__contains__, ANSWERS.__contains__]
    fits = len(first) == 2 and all(
        known(who) and isinstance(text, str) and text.strip()
        for known, (who, text) in zip(speaks, first, strict=True)
    )
    if not fits:
        raise BadField(name, shown(turns), expected)
    return str(first[0][1]).strip(), str(first[1][1]).strip()


def _texts(fields: Fields, *names: str) -> list[str]:
    texts = [value.strip() if isinstance(value := fields[name], str) else "" for name in names]
    expected = "a text that is not empty"
    empty = [name for name, text in zip(names, texts, strict=True) if not text]
    if empty:
        raise BadRow([BadField(name, shown(fields[name]), expected) for name in empty])
    return texts
