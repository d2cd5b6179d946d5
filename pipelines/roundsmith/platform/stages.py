"""A round in the parts that a pipeline shows: each goes on from what the store holds.

The order is that of `round.py`. A part plays the round from its beginning, finds what was finished
and stops where it ends: whatever a recipe does in between, no part has to know of it.
"""

from collections.abc import Callable

from roundsmith.round import Do, RoundRefs, play_round
from roundsmith.types import Split

REPORT = "report"
ENDS = {
    "measure": ("evaluate", Split.GATE, "before"),
    "sample": ("score", "", ""),
    "select": ("select", "", ""),
    "train": ("train", "", ""),
    "decide": ("decide", "", ""),
}
"""The step, its split and whose work it is, after which a part ends."""
PARTS = (*ENDS, "look_back")
"""The parts before the report, in their order. `look_back` is what only the last round does."""


class _Reached(Exception):
    def __init__(self, reference: str) -> None:
        self.reference = reference


def play_until(
    stage: str,
    do: Do[str],
    *,
    start: str | None,
    last: Callable[[str, str], bool],
    control: bool,
    own_writer: bool,
    on_train: bool,
) -> RoundRefs[str] | str:
    """Plays a round up to the end of a part; the reference of what that made last, and after the
    report all that the round made.

    `start` is the model that the round begins with, None for the run's first one; `last` says by
    decision and rows whether it is the chain's last round.
    """
    assert stage in (*PARTS, REPORT), stage
    made = ""

    def until(step: str, split: str = "", of: str = "", /, **inputs: str) -> str:
        nonlocal made
        if step == REPORT and stage == "look_back":
            raise _Reached(made)
        made = do(step, split, of, **inputs)
        if ENDS.get(stage) == (step, split, of):
            raise _Reached(made)
        return made

    try:
        tasks, first = until("load_tasks"), until("load_model")
        return play_round(
            until,
            first=first,
            model=start or first,
            tasks=tasks,
            last=last,
            control=control,
            own_writer=own_writer,
            on_train=on_train,
        )
    except _Reached as reached:
        return reached.reference
