"""Many runs, a tenth of them hostile, on the local pool (case 81)."""

import pytest

from roundsmith.executor.bench.soak import soak


@pytest.mark.slow
def test_case_81_five_thousand_runs_leave_nothing_behind() -> None:
    """What grew is an error of the soak; verdicts are checked there too."""
    results = soak(5000)
    held = {result.case.rpartition(": ")[2]: result for result in results[1:]}
    assert held["zombies"].value == 0
    for name in ("descriptors", "mounts", "processes", "files"):
        assert held[name].value == held[name].against_value
