"""A round on a machine whose clock jumps by days, back and forth, for every process of it: the
library libfaketime tells each of them a false date. The clock that never jumps is left alone, and
so are the dates of files, which the kernel writes, as a storage of another machine would.
"""

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from tests.chaos.kills import differences
from tests.pipelines.round.lab_round import command

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
DAYS = (-9.0, -1.0, -0.02, 0.0, 0.02, 1.0, 9.0)


@pytest.mark.slow
@pytest.mark.skipif(not LIBRARIES, reason="needs Debian's package libfaketime")
def test_a_round_whose_clock_jumps_by_days_is_the_one_that_it_is(
    undisturbed: Path, tmp_path: Path
) -> None:
    told, out = tmp_path / "told", tmp_path / "run"
    told.write_text("+0\n")
    false_dates = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(told),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # with it gRPC's threads spin where they should wait
    }
    draw = random.Random(1)
    with (tmp_path / "printed").open("w+") as printed:
        run = subprocess.Popen(
            command(out), env=os.environ | false_dates, stdout=printed, stderr=printed
        )
        try:
            while run.poll() is None:
                following = told.with_suffix(".next")
                following.write_text(f"{draw.choice(DAYS) * 86400:+.0f}\n")
                following.replace(told)
                try:
                    run.wait(1.5)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            run.kill()
        printed.seek(0)
        assert run.returncode == 0, printed.read()[-4000:]
    logs = (out / "work/services/logs").glob("*.log")
    dates = re.findall(r"^\d{4}-\d\d-\d\d", "".join(map(Path.read_text, logs)), re.MULTILINE)
    assert len(set(dates)) > 2, "no clock jumped"
    assert differences(out, undisturbed) == []
