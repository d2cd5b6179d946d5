"""The rounds, read downwards: what is done in which order, written once for every platform.

`do` runs a step and returns the reference of what it made; on one machine it runs the step right
away, for a Kubeflow pipeline it adds a task and returns its future output. Either way this page is
the order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from roundsmith.types import Split

Ref = TypeVar("Ref")


class Do(Protocol[Ref]):
    """Runs the step of this name on references of earlier steps. `of` says to a person whose work
    it is where a step is done more than once: before, after or control.
    """

    def __call__(self, step: str, split: str = "", of: str = "", /, **inputs: Ref) -> Ref: ...


@dataclass(frozen=True)
class RoundRefs(Generic[Ref]):
    """What a round made, by reference."""

    tasks: Ref
    model: Ref
    groups: Ref
    scored: Ref
    rows: Ref
    checkpoint: Ref
    gate_before: Ref
    gate_after: Ref
    decision: Ref
    report: Ref


def play_round(
    do: Do[Ref],
    *,
    first: Ref,
    model: Ref,
    tasks: Ref,
    last: Callable[[Ref, Ref], bool],
    control: bool,
    own_writer: bool = False,
    on_train: bool = False,
) -> RoundRefs[Ref]:
    """One round: sample, score, select, train, evaluate, decide, report.

    `first` is the model that the run began with and `model` the one that this round begins with.
    The split `final` is looked at in the last round only (`last` says by decision and rows whether
    this is the last), for the first model, the checkpoint and,
    with `control`, the first model trained on the gold rows alone, for as many optimizer steps as
    lie between the first model and the checkpoint. With `own_writer` a model that was trained for
    it samples and scores, and the checkpoint is trained from the first model. With `on_train` the
    training tasks are looked at like `final`, which tells how much better what was trained on is.
    """
    gate_before = do("evaluate", Split.GATE, "before", tasks=tasks, model=model)
    extra: dict[str, Ref] = {}
    writer, start = model, model
    if own_writer:
        writer, start = do("writer", tasks=tasks, model=model, first=first), first
        extra["writer"] = writer
    groups = do("sample", tasks=tasks, model=writer)
    scored = do("score", groups=groups, model=writer)
    rows = do("select", groups=scored, model=writer, tasks=tasks)
    checkpoint = do("train", rows=rows, model=start, tasks=tasks)
    gate_after = do("evaluate", Split.GATE, "after", tasks=tasks, model=checkpoint)
    decision = do(
        "decide",
        before=gate_before,
        after=gate_after,
        rows=rows,
        tasks=tasks,
        model=model,
        checkpoint=checkpoint,
    )
    made = {
        "tasks": tasks,
        "model": model,
        "groups": groups,
        "scored": scored,
        "rows": rows,
        "checkpoint": checkpoint,
        "gate_before": gate_before,
        "gate_after": gate_after,
        "decision": decision,
    }
    if last(decision, rows):
        extra |= _look_back(do, first, checkpoint, rows, tasks, control, on_train)
    return RoundRefs(**made, report=do("report", **made, **extra))


def _look_back(
    do: Do[Ref], first: Ref, checkpoint: Ref, rows: Ref, tasks: Ref, control: bool, on_train: bool
) -> dict[str, Ref]:
    """What is looked at once, when the last round is over."""
    found = {
        "final_before": do("evaluate", Split.FINAL, "before", tasks=tasks, model=first),
        "final_after": do("evaluate", Split.FINAL, "after", tasks=tasks, model=checkpoint),
    }
    if on_train:
        found["train_before"] = do("evaluate", Split.TRAIN, "before", tasks=tasks, model=first)
        found["train_after"] = do("evaluate", Split.TRAIN, "after", tasks=tasks, model=checkpoint)
    if control:
        gold = do("select_gold", rows=rows)
        given = {"rows": gold, "model": first, "tasks": tasks, "like": checkpoint}
        trained = do("train", "", "control", **given)
        found["final_control"] = do("evaluate", Split.FINAL, "control", tasks=tasks, model=trained)
        found["control"] = trained
    return found


def play_rounds(
    do: Do[str],
    promoted: Callable[[str], bool],
    rounds: Sequence[int],
    begin: Callable[[int], None],
    control: bool,
    own_writer: bool = False,
    on_train: bool = False,
    stops: Callable[[str, str], bool] = lambda decision, rows: False,
) -> Iterator[RoundRefs[str]]:
    """All rounds of a run, each from the promoted checkpoint, or from the same model where none
    was; each is given as soon as it is over. `stops` says by decision and rows that a round is the
    last, whatever was planned.
    """
    tasks, first = do("load_tasks"), do("load_model")
    model = first
    for number in rounds:
        begin(number)
        ended = False

        def last(decision: str, rows: str, number: int = number) -> bool:
            nonlocal ended
            ended = number == rounds[-1] or stops(decision, rows)
            return ended

        refs = play_round(
            do,
            first=first,
            model=model,
            tasks=tasks,
            last=last,
            control=control,
            own_writer=own_writer,
            on_train=on_train,
        )
        yield refs
        if ended:
            return
        model = refs.checkpoint if promoted(refs.decision) else model
