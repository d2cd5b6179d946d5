"""From an item to the rows that are run: what is refused, which questions each program gets, and
what is the same and so run once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from roundsmith.errors import ConfigError
from roundsmith.executor.content import digest_of_program, digest_of_test
from roundsmith.executor.own_limits import check_limits, resolved
from roundsmith.executor.questions import Question, question
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import AssertTest, ExecuteItem, Limits, Program, Test, UnittestTest

_MANY, _MANY_CHARACTERS = 10_000, 2**15
_MOST_BYTES_EACH = 4
"""Of a character in UTF-8."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a program is asked, and the ids of the tests that ask it."""

    question: Question
    digest: bytes
    test_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A program, the ids that it has, and what it is asked, in the order of the item's tests."""

    program: Program
    digest: bytes
    code_ids: tuple[str, ...]
    columns: tuple[Column, ...]
    limits: Limits

    @property
    def num_cells(self) -> int:
        return len(self.code_ids) * sum(len(column.test_ids) for column in self.columns)


@dataclass(frozen=True, slots=True)
class Rules:
    """How the cells of an item are run."""

    rerun_share: float
    stop_on_failure: bool = False
    stop_after_timeouts: int = 0
    profile: str = "base"

    @property
    def stop(self) -> bool:
        """Whether a row may stop early."""
        return self.stop_on_failure or self.stop_after_timeouts > 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What an item comes to. `once` says whether cells that are the same are run once."""

    num_cells: int
    rules: Rules
    once: bool
    rows: Iterator[PlannedRow]


def takes_long(item: ExecuteItem) -> bool:
    """Whether a plan takes so long that it is made beside the event loop, which has others to
    serve: for what there is to look at, or to parse.
    """
    if len(item.cells) + len(item.tests) + len(item.programs) > _MANY:
        return True
    sources = (t.source for t in item.tests if isinstance(t, AssertTest | UnittestTest))
    return sum(map(len, sources)) > _MANY_CHARACTERS


def plan(item: ExecuteItem, settings: ExecutorSettings) -> Plan:
    """The rows of an item, made as they are asked for. Raises ConfigError, or UnknownName, for an
    item that can not be run.
    """
    _check(item, settings)
    share = settings.rerun_share if item.rerun_share is None else item.rerun_share
    rules = Rules(share, item.stop_row_on_failure, item.stop_row_after_timeouts, item.profile)
    once = settings.cache_bytes > 0 and not item.no_cache
    columns = _columns(item, once and not rules.stop)
    num_cells = len(set(item.cells)) or len(item.programs) * len(item.tests)
    if item.cells:
        rows = _sparse_rows(item, columns, _tests_by_code(item))
    else:
        rows = _rows(item, columns, once)
    if any(one.limits is not None for one in (*item.programs, *item.tests)):
        rows = _by_limits(rows, item.limits)
    return Plan(num_cells, rules, once, rows)


def _columns(item: ExecuteItem, once: bool) -> list[Column]:
    """The item's tests in order, those that are the same together where they are run `once`."""
    digests = [digest_of_test(test) for test in item.tests]
    setups = {program.setup for program in item.programs}
    if not once or len(set(digests)) == len(digests):
        asked = zip(item.tests, digests, strict=True)
        return [Column(question(test, setups), digest, (test.test_id,)) for test, digest in asked]
    first, ids = dict[bytes, Test](), dict[bytes, list[str]]()
    for test, digest in zip(item.tests, digests, strict=True):
        first.setdefault(digest, test)
        ids.setdefault(digest, []).append(test.test_id)
    return [Column(question(test, setups), key, tuple(ids[key])) for key, test in first.items()]


def _rows(item: ExecuteItem, columns: list[Column], once: bool) -> Iterator[PlannedRow]:
    everything = tuple(columns)
    for digest, programs in _alike(item.programs, once):
        ids = tuple(program.code_id for program in programs)
        yield PlannedRow(programs[0], digest, ids, everything, item.limits)


def _by_limits(rows: Iterator[PlannedRow], limits: Limits) -> Iterator[PlannedRow]:
    """The rows with cells of one limit each: a program whose tests have limits of their own has a
    row for each, and each is run, and stops early, for itself.
    """
    for row in rows:
        columns: dict[Limits, list[Column]] = {}
        for column in row.columns:
            own = resolved(limits, row.program, column.question.test)
            columns.setdefault(own, []).append(column)
        for own, alike in columns.items():
            yield replace(row, columns=tuple(alike), limits=own)


def _tests_by_code(item: ExecuteItem) -> dict[str, list[str]]:
    """The tests that each program is to be run on."""
    found: dict[str, list[str]] = {}
    for code_id, test_id in item.cells:
        found.setdefault(code_id, []).append(test_id)
    return found


def _sparse_rows(
    item: ExecuteItem, columns: list[Column], tests_by_code: dict[str, list[str]]
) -> Iterator[PlannedRow]:
    place_by_test = {test_id: at for at, c in enumerate(columns) for test_id in c.test_ids}
    for program in item.programs:
        ids_by_place: dict[int, list[str]] = {}
        for test_id in dict.fromkeys(tests_by_code.pop(program.code_id, ())):
            ids_by_place.setdefault(place_by_test[test_id], []).append(test_id)
        if ids_by_place:
            asked = (
                Column(columns[at].question, columns[at].digest, tuple(ids_by_place[at]))
                for at in sorted(ids_by_place)
            )
            digest = digest_of_program(program)
            yield PlannedRow(program, digest, (program.code_id,), tuple(asked), item.limits)


def _alike(
    programs: tuple[Program, ...], once: bool
) -> Iterator[tuple[bytes, tuple[Program, ...]]]:
    """The programs in order, with their digest; those that are the same together where they are
    run `once`.
    """
    if not once or len({(p.setup, p.source) for p in programs}) == len(programs):
        yield from ((digest_of_program(program), (program,)) for program in programs)
        return
    alike: dict[bytes, list[Program]] = {}
    for program in programs:
        alike.setdefault(digest_of_program(program), []).append(program)
    yield from ((digest, tuple(same)) for digest, same in alike.items())


def _check(item: ExecuteItem, settings: ExecutorSettings) -> None:
    codes = _unique(item, "code_id", [program.code_id for program in item.programs])
    tests = _unique(item, "test_id", [test.test_id for test in item.tests])
    count = len(item.cells) or len(codes) * len(tests)
    if count > settings.max_cells:
        raise ConfigError(
            f"item {item.item_id}: {count} cells, expected at most {settings.max_cells}: split it"
        )
    unknown = next((cell for cell in item.cells if cell[0] not in codes or cell[1] not in tests), 0)
    if unknown:
        raise ConfigError(
            f"item {item.item_id}: cell {unknown}: expected the code_id of a program and the "
            "test_id of a test of the item: add what it names, or leave the cell out"
        )
    if item.rerun_share is not None and not 0 <= item.rerun_share <= 1:
        raise ConfigError(
            f"item {item.item_id}: rerun_share {item.rerun_share}: expected a share from 0 to 1"
        )
    check_limits(item)
    most = settings.max_program_bytes
    for program in item.programs:
        characters = len(program.source) + len(program.setup)
        if characters * _MOST_BYTES_EACH > most and (size := _num_bytes(program)) > most:
            raise ConfigError(
                f"item {item.item_id}: program {program.code_id}: {size} bytes with its setup, "
                f"expected at most {most}: make it smaller"
            )


def _num_bytes(program: Program) -> int:
    texts = program.source, program.setup
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def _unique(item: ExecuteItem, name: str, ids: list[str]) -> set[str]:
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            raise ConfigError(
                f"item {item.item_id}: {name} {one!r} twice, expected it once: rename one"
            )
        seen.add(one)
    return seen
