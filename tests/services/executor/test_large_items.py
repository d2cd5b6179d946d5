"""An item of a million cells is not a million things at once."""

import time
import tracemalloc

from roundsmith.executor.matrix import plan
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.serve.packed import PackedResults
from roundsmith.types import CallTest, ExecuteItem, JudgedAt, Outcome, Program
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.verdicts import Verdict
from roundsmith.wire import to_message

TESTS = tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(1000))
PROGRAMS = tuple(Program(f"c{at}", f"def f(x):\n    return x + {at}\n") for at in range(1000))


def test_the_rows_of_a_full_matrix_are_made_as_they_are_run() -> None:
    tracemalloc.start()
    try:
        planned = plan(ExecuteItem("i", PROGRAMS, TESTS), ExecutorSettings(slots=1))
        rows = [next(planned.rows) for _ in range(3)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert planned.num_cells == 10**6
    assert [row.num_cells for row in rows] == [1000] * 3
    assert peak < 8 * 2**20


def test_a_sparse_matrix_of_many_programs_and_tests_is_planned_by_its_cells_alone() -> None:
    """By programs times tests it would be 400 million steps."""
    programs = tuple(Program(f"c{at}", f"def f(x):\n    return {at}\n") for at in range(20_000))
    tests = tuple(CallTest(f"t{at}", "f", (at,), at) for at in range(20_000))
    cells = tuple((f"c{at}", f"t{at}") for at in range(20_000))
    started = time.process_time()
    planned = plan(ExecuteItem("i", programs, tests, cells), ExecutorSettings(slots=1))
    assert sum(row.num_cells for row in planned.rows) == 20_000
    assert time.process_time() - started < 30


def test_outcomes_that_are_kept_take_little_more_than_their_encoding() -> None:
    outcome = Outcome("c1", "t1", Verdict.PASS, JudgedAt.OUTSIDE, "T2", "python 3.11", cpu_s=1e-5)
    packed: PackedResults[pb2.Outcome] = PackedResults()
    tracemalloc.start()
    try:
        for _ in range(20_000):
            packed.append(to_message(outcome))
        packed.pack()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 150 * 20_000
    assert packed[0] == packed[19_999] == to_message(outcome)
