"""The parts of a round that a pipeline shows end where they should, whatever the recipe does."""

import pytest

from roundsmith.platform.stages import PARTS, REPORT, play_until
from roundsmith.round import RoundRefs

Played = list[tuple[str, str, str]]


def play(stage: str, *, last: bool = True, own_writer: bool = False) -> tuple[object, Played]:
    """What a part returns, and the steps that it played or found."""
    played: Played = []

    def do(step: str, split: str = "", of: str = "", /, **inputs: str) -> str:
        played.append((step, str(split), of))
        return f"{step}/{len(played)}"

    reached = play_until(
        stage,
        do,
        start=None,
        last=lambda *_: last,
        control=True,
        own_writer=own_writer,
        on_train=False,
    )
    return reached, played


@pytest.mark.parametrize("own_writer", [True, False])
@pytest.mark.parametrize(
    ("stage", "end"),
    [
        ("measure", ("evaluate", "gate", "before")),
        ("sample", ("score", "", "")),
        ("select", ("select", "", "")),
        ("train", ("train", "", "")),
        ("decide", ("decide", "", "")),
        ("look_back", ("evaluate", "final", "control")),
    ],
)
def test_a_part_ends_with_its_step(stage: str, end: tuple[str, str, str], own_writer: bool) -> None:
    reached, played = play(stage, own_writer=own_writer)
    assert played[-1] == end
    assert reached == f"{end[0]}/{len(played)}"


def test_each_part_goes_further_than_the_one_before_and_the_report_to_the_end() -> None:
    lengths = [len(play(stage)[1]) for stage in (*PARTS, REPORT)]
    assert lengths == sorted(set(lengths))
    reached, played = play(REPORT)
    assert isinstance(reached, RoundRefs)
    assert played[-1] == ("report", "", "")


def test_a_round_that_is_not_the_last_looks_at_no_final_task() -> None:
    for stage in (*PARTS, REPORT):
        assert "final" not in {split for _, split, _ in play(stage, last=False)[1]}
    assert play("look_back", last=False)[1] == play("decide")[1]
