"""Tasks from a file or from the lab, every row checked before any model is loaded."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from roundsmith.benchmarks.apps import apps_task, is_apps
from roundsmith.benchmarks.bigcodebench import bigcodebench_task, is_bigcodebench
from roundsmith.benchmarks.codeinsight import codeinsight_task, is_codeinsight, read_folder
from roundsmith.benchmarks.ds1000 import ds1000_task, is_ds1000
from roundsmith.benchmarks.evalplus import evalplus_task, is_evalplus
from roundsmith.benchmarks.files import Fields, RawRow, read_rows
from roundsmith.benchmarks.humaneval import humaneval_task, is_humaneval
from roundsmith.benchmarks.livecodebench import is_livecodebench, livecodebench_task
from roundsmith.benchmarks.mbpp import is_mbpp, mbpp_task
from roundsmith.benchmarks.multipl_e import is_multipl_e, multipl_e_task
from roundsmith.benchmarks.own import own_task
from roundsmith.benchmarks.problems import BadField, BadRow, Problem, refuse
from roundsmith.errors import ConfigError
from roundsmith.hashing import content_hash, file_sha256
from roundsmith.types import Split, Task

LAB, ATOMIC = "lab", "atomic"
FORMATS: tuple[tuple[Callable[[Fields], bool], Callable[[Fields], Task]], ...] = (
    (is_evalplus, evalplus_task),
    (is_bigcodebench, bigcodebench_task),
    (is_livecodebench, livecodebench_task),
    (is_ds1000, ds1000_task),
    (is_multipl_e, multipl_e_task),
    (is_codeinsight, codeinsight_task),
    (is_apps, apps_task),
    (is_mbpp, mbpp_task),
    (is_humaneval, humaneval_task),
)
"""Published formats: what tells a row of each, the more particular first, and what reads it."""
TAKEN_APART = (
    *("bigcodebench", "multipl-e-humaneval", "multipl-e-mbpp"),
    *("livecodebench", "apps", "humaneval-plus", "mbpp-plus"),
)
"""Sources whose tests or programs are made when they are read: what was read is hashed, not their
file.
"""


@dataclass(frozen=True, slots=True)
class LoadedTasks:
    """The tasks in the file's order, the problems of rows left out, the hash of what was read."""

    tasks: tuple[Task, ...]
    problems: tuple[Problem, ...]
    source_hash: str

    def of(self, split: Split) -> tuple[Task, ...]:
        """The tasks of one split, in order."""
        return tuple(task for task in self.tasks if task.split is split)


def load_tasks(source: str, *, skip_bad_rows: bool = False) -> LoadedTasks:
    """The tasks of a file (our schema or a published one, told apart by content), of CodeInsight's
    folder, or of the words `lab` and `atomic`.

    Raises ConfigError that lists the first problems when a row is bad; with `skip_bad_rows` such
    rows are left out and listed in the result. A file without one good row is refused either way.
    """
    if source in (LAB, ATOMIC):
        return _built_in(source)
    path = Path(source)
    rows = read_folder(path) if path.is_dir() else read_rows(path)
    tasks, problems = _checked(path.name, rows)
    if problems and (not skip_bad_rows or not tasks):
        raise refuse(problems)
    if not tasks:
        seen = "a folder without problems of CodeInsight" if path.is_dir() else "no rows"
        raise ConfigError(f"{path}: saw {seen}, expected at least one task: name a task file")
    as_read = path.is_dir() or tasks[0].source in TAKEN_APART
    source_hash = tasks_hash(tasks) if as_read else file_sha256(path)
    return LoadedTasks(tuple(tasks), tuple(problems), source_hash)


def _built_in(source: str) -> LoadedTasks:
    from roundsmith.lab import atomic, splits

    of = splits.tasks if source == LAB else atomic.tasks
    tasks = tuple(task for split in Split for task in of(split))
    return LoadedTasks(tasks, (), tasks_hash(tasks))


def tasks_hash(tasks: Iterable[Task]) -> str:
    """The hash of everything that a row of the store keeps of each task, its tests included."""
    from roundsmith.store.codecs import task_columns

    return content_hash("tasks", [task_columns(task) for task in tasks])


def _checked(file: str, rows: Iterable[RawRow | Problem]) -> tuple[list[Task], list[Problem]]:
    tasks: list[Task] = []
    problems: list[Problem] = []
    line_by_id: dict[str, int] = {}
    to_task: Callable[[Fields], Task] | None = None
    for row in rows:
        if isinstance(row, Problem):
            problems.append(row)
            continue
        to_task = to_task or _converter(row.fields)
        try:
            task = to_task(row.fields)
            if task.task_id in line_by_id:
                line = line_by_id[task.task_id]
                raise BadField(
                    "id", f"{task.task_id!r} again, first in row {line}", "ids that are unique"
                )
        except BadRow as bad:
            problems.extend(bad.at(file, row.line))
        else:
            line_by_id[task.task_id] = row.line
            tasks.append(task)
    return tasks, problems


def _converter(fields: Fields) -> Callable[[Fields], Task]:
    """The format of a file, by the fields of its first whole row."""
    for is_its, to_task in FORMATS:
        if is_its(fields):
            return to_task
    return own_task
