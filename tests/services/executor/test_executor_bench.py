"""The executor's bench measures what it says, beside its peers."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from roundsmith.executor.bench import bench, gvisor
from roundsmith.executor.bench.pod import interpreter
from roundsmith.executor.bench.programs import batched, benchmarks, trivial

DATA = Path(__file__).parents[2] / "data"


def test_the_bench_reports_every_case_beside_every_peer_and_gives_the_cores_back() -> None:
    cores = os.sched_getaffinity(0)
    results = bench(slice_s=0.2, slices=1)
    assert os.sched_getaffinity(0) == cores
    trivials = {result.against for result in results if result.case.startswith("a trivial assert")}
    assert "python subprocess" in trivials
    assert any(name.startswith("C fork loop, hardened") for name in trivials) or not shutil.which(
        "cc"
    )
    for result in results:
        assert result.value > 0
        assert result.against_value > 0
    batched = next(r for r in results if r.case.startswith("32 tests") and "python" in r.against)
    assert batched.ratio > 3
    cases = "\n".join(result.case for result in results)
    for place in ("T1", "T2", *(["T1, restricted pod"] if interpreter() else [])):
        assert f"a trivial assert, {place}\n" in cases
        assert f"32 tests a row, {place}\n" in cases
    if gvisor.runnable():
        assert "a trivial assert, T3, pod in gVisor\n" in cases
    if find_spec("pandas") is not None:
        assert "a trivial assert in scientific, T2" in cases
    assert "a time-out, T2" in cases
    assert "p99 of an honest call beside 10 % time-outs, T2" in cases
    for way in ("cancel", "deadline"):
        assert f"a slot is free after a {way}, slowest of 20, T2" in cases


def test_the_programs_are_all_references_but_the_two_that_measure_something_else() -> None:
    humaneval, mbpp = benchmarks(DATA)
    assert (len(humaneval.cases), len(mbpp.cases)) == (164, 425)
    assert len(humaneval.with_calls().cases) > 100
    assert len(mbpp.with_calls().cases) > 380
    for workload in (trivial(), batched(), humaneval, mbpp):
        items = list(workload.items(serial=1))
        assert sum(len(item.programs) * len(item.tests) for item in items) == workload.num_cells
        sources = [program.source for item in items for program in item.programs]
        assert len(set(sources)) == len(sources), "no program is run twice"


def test_the_parts_of_a_workload_are_all_of_it() -> None:
    (humaneval, _) = benchmarks(DATA)
    parts = [humaneval.part(number, 5) for number in range(5)]
    assert sorted(case.program.code_id for part in parts for case in part.cases) == sorted(
        case.program.code_id for case in humaneval.cases
    )
