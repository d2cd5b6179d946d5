"""What a finished arm tells of its rows."""

from roundsmith.reproduce.finished import num_rows
from roundsmith.store import Manifest

KEY = "0" * 64
BASE = Manifest("model", KEY, stats={"weights_sha256": "w" * 64})
TRAINED = Manifest("train", KEY, stats={"rows": 181})


def test_the_rows_of_an_arm_are_those_of_its_rounds() -> None:
    chosen = [Manifest("select", KEY, stats={"rows": rows}) for rows in (30, 40)]
    assert num_rows(chosen, TRAINED) == 70


def test_an_arm_without_a_round_has_the_rows_of_its_training() -> None:
    assert num_rows([], TRAINED) == 181
    assert num_rows([], BASE) == 0
