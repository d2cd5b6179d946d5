"""From an item to the rows that are run: what is refused, and which questions each program gets."""

from collections.abc import Sequence
from dataclasses import dataclass

from roundsmith.errors import ConfigError, UnknownName
from roundsmith.executor.endings import Ending
from roundsmith.executor.questions import Question, question
from roundsmith.executor.rows import Result
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import ExecuteItem, Limits, Program
from roundsmith.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A program and the questions that it gets, in the order of the item's tests; scripts are rows
    of their own.
    """

    program: Program
    questions: tuple[Question, ...]


def plan(item: ExecuteItem, settings: ExecutorSettings) -> Sequence[PlannedRow]:
    """The rows of an item. Raises ConfigError, or UnknownName, for an item that can not be run."""
    _check(item, settings)
    questions = [question(test) for test in item.tests]
    wanted = set(item.cells)
    rows = []
    for program in item.programs:
        cells = [q for q in questions if not wanted or (program.code_id, q.test.test_id) in wanted]
        if cells:
            rows.append(PlannedRow(program, tuple(cells)))
    return rows


def _check(item: ExecuteItem, settings: ExecutorSettings) -> None:
    codes = [program.code_id for program in item.programs]
    tests = [test.test_id for test in item.tests]
    for name, ids in (("code_id", codes), ("test_id", tests)):
        if len(set(ids)) != len(ids):
            repeated = next(i for i in ids if ids.count(i) > 1)
            raise ConfigError(
                f"item {item.item_id}: {name} {repeated!r} twice, expected it once: rename one"
            )
    if item.profile not in settings.profiles:
        raise UnknownName(f"profile {item.profile!r}, expected one of {list(settings.profiles)}")
    count = len(item.cells) or len(codes) * len(tests)
    if count > settings.max_cells:
        raise ConfigError(
            f"item {item.item_id}: {count} cells, expected at most {settings.max_cells}: split it"
        )
    unknown = [cell for cell in item.cells if cell[0] not in codes or cell[1] not in tests]
    if unknown:
        raise ConfigError(
            f"item {item.item_id}: cell {unknown[0]} names no program or test of the item"
        )
    _check_limits(item.limits)
    for program in item.programs:
        size = len(program.source) + len(program.setup)
        if size > settings.max_program_bytes:
            limit = settings.max_program_bytes
            raise ConfigError(
                f"program {program.code_id}: {size} characters, expected at most {limit}"
            )


def _check_limits(limits: Limits) -> None:
    if not (0 < limits.cpu_s <= 3600 and limits.wall_factor >= 1):
        raise ConfigError(f"limits {limits}: expected 0 < cpu_s <= 3600 and wall_factor >= 1")
    if min(limits.memory_bytes, limits.output_bytes, limits.file_bytes) < 0 or limits.processes < 1:
        raise ConfigError(f"limits {limits}: expected sizes of at least 0 and at least one process")


def infra_error(asked: Question, why: str) -> Result:
    """What a cell gets when the sandbox failed every time."""
    return Result(asked, Ending(Verdict.INFRA_ERROR, why, 0.0, 0.0), False)
