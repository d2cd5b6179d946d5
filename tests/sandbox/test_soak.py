"""Many runs, a tenth of them hostile, on the local pool (case 81)."""

import tempfile
from pathlib import Path

import pytest

from roundsmith.executor.bench.soak import soak
from roundsmith.executor.local_supervisors import BOX_PREFIX


@pytest.mark.slow
def test_case_81_five_thousand_runs_leave_nothing_behind() -> None:
    """What grew is an error of the soak; verdicts are checked there too."""
    with tempfile.TemporaryDirectory(prefix=BOX_PREFIX) as of_another_pool:
        for number in range(5):
            Path(of_another_pool, f"{number}").touch()
        results = soak(5000)
    held = {result.case.rpartition(": ")[2]: result for result in results[1:]}
    assert held["zombies"].value == 0
    assert held["files"].value < 5, "another pool's are no files of this one"
    for name in ("descriptors", "mounts", "processes", "files"):
        assert held[name].value == held[name].against_value
