"""kill -9 of any process of a run: started again, it ends the same. `make chaos` kills more."""

from pathlib import Path

import pytest

from tests.chaos.kills import Chaos, differences, settings_file
from tests.pipelines.round.lab_round import play

pytestmark = pytest.mark.slow
KILLS = 5


def test_a_run_killed_anywhere_ends_with_the_same_rows_result_and_checkpoints(
    tmp_path: Path,
) -> None:
    options = ("--config", str(settings_file(tmp_path)))
    play(tmp_path / "undisturbed", *options)
    chaos = Chaos(seed=20261126)
    chaos.play(tmp_path / "killed", KILLS, *options)
    assert chaos.kills > 0
    assert differences(tmp_path / "killed", tmp_path / "undisturbed") == []
