"""kill -9 of any process of a run: started again, it ends the same. `make chaos` kills more."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from tests.chaos.kills import VICTIMS, Chaos, differences, due, next_kinds, settings_file
from tests.chaos.processes import TRAINING

KILLS = 5


def test_every_kind_is_due_as_often_as_every_other_whatever_was_killed_first() -> None:
    dealt = list(islice(due(1, {}), 3 * len(VICTIMS)))
    assert Counter(dealt) == dict.fromkeys(VICTIMS, 3)
    early = Counter({"scorer": 2, "run": 1})
    left = list(islice(due(1, early), len(dealt) - early.total()))
    assert Counter(left) + early == Counter(dealt)
    assert left == [what for at, what in enumerate(dealt) if dealt[:at].count(what) >= early[what]]


def test_a_rounds_last_kills_are_kept_for_trainings() -> None:
    killed, until, seen = Counter[str](), 15, list[list[str]]()
    while killed.total() < until:
        kinds = next_kinds(1, killed, until)
        seen.append(kinds)
        killed[kinds[-1]] += 1  # a training is there only when nothing else may be killed
    owed = list(islice(due(1, {}), until)).count(TRAINING)
    assert seen[-owed:] == [[TRAINING]] * owed
    assert killed[TRAINING] == owed > 0


@pytest.mark.slow
def test_a_run_killed_anywhere_ends_with_the_same_rows_result_and_checkpoints(
    undisturbed: Path, tmp_path: Path
) -> None:
    chaos = Chaos(seed=20261126)
    chaos.play(tmp_path / "killed", KILLS, "--config", str(settings_file(tmp_path)))
    assert chaos.kills > 0
    assert differences(tmp_path / "killed", undisturbed) == []
