"""kill -9 of any process of a run: started again, it ends the same. `make chaos` kills more."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from tests.chaos.kills import VICTIMS, Chaos, differences, due, settings_file
from tests.pipelines.round.lab_round import play

KILLS = 5


def test_every_kind_is_due_as_often_as_every_other_whatever_was_killed_first() -> None:
    dealt = list(islice(due(1, {}), 3 * len(VICTIMS)))
    assert Counter(dealt) == dict.fromkeys(VICTIMS, 3)
    early = Counter({"scorer": 2, "run": 1})
    left = list(islice(due(1, early), len(dealt) - early.total()))
    assert Counter(left) + early == Counter(dealt)
    assert left == [what for at, what in enumerate(dealt) if dealt[:at].count(what) >= early[what]]


@pytest.mark.slow
def test_a_run_killed_anywhere_ends_with_the_same_rows_result_and_checkpoints(
    tmp_path: Path,
) -> None:
    options = ("--config", str(settings_file(tmp_path)))
    play(tmp_path / "undisturbed", *options)
    chaos = Chaos(seed=20261126)
    chaos.play(tmp_path / "killed", KILLS, *options)
    assert chaos.kills > 0
    assert differences(tmp_path / "killed", tmp_path / "undisturbed") == []
