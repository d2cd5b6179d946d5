"""The executor's bench measures what it says, beside its peers."""

import os

from roundsmith.executor.bench import bench


def test_the_bench_reports_every_case_beside_every_peer_and_gives_the_cores_back() -> None:
    cores = os.sched_getaffinity(0)
    results = bench(slice_s=0.2)
    assert os.sched_getaffinity(0) == cores
    peers = [result.against for result in results[:3]]
    assert peers[:2] == ["python subprocess", "os.fork floor"]
    assert peers[2] in ("os.fork floor, T1", "os.fork floor, T2")
    assert [result.against for result in results[3:]] == peers
    for result in results:
        assert result.value > 0
        assert result.against_value > 0
    batched = next(r for r in results if r.case.startswith("32 tests") and "python" in r.against)
    assert batched.ratio > 3
