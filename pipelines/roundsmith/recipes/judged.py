"""What Inverse-Instruct judges: the code of a corpus' answer; and what is told of the judging."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

from roundsmith.recipes.snippets import first_code_block
from roundsmith.recipes.styles import Style
from roundsmith.types import Group, Row, Task


def snippet(task: Task) -> str | None:
    """The code block of a task's answer, None where it has no code."""
    return None if task.reference is None else first_code_block(task.reference)


def answer_of(task: Task, style: Style) -> str:
    """What a self-made instruction is paired with: the code alone, as the prompt's style closes
    it.
    """
    if task.head:
        return style.gold(task)
    block = snippet(task)
    assert block is not None, f"{task.task_id} has candidates and no code"
    return block


def measure(chosen: Iterable[tuple[Group, Sequence[Row]]]) -> Mapping[str, float]:
    """Answers with code, and the mean P(yes) of all candidates and of those kept."""
    every, kept, snippets = [], [], 0
    for group, rows in chosen:
        snippets += bool(group.samples)
        parents = {parent for row in rows for parent in row.provenance.parents}
        for sample_id, score in group.scores.items():
            if score.p_yes is not None:
                every.append(score.p_yes)
                kept += [score.p_yes] if sample_id in parents else []
    told = {"answers with code": float(snippets)}
    if every and kept:
        told |= {"P(yes) of all candidates": mean(every), "P(yes) of those kept": mean(kept)}
    return told
