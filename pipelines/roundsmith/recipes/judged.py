"""What Inverse-Instruct judges: the code of a corpus' answer; what is asked of it, which candidates
are kept by that, and what is told of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from statistics import mean
from typing import Literal

from roundsmith.recipes.best_of import best_of
from roundsmith.recipes.snippets import first_code_block
from roundsmith.recipes.styles import Style, style_of_group
from roundsmith.types import Group, Row, Sample, Score, ScoreItem, Task

Choose = Literal["p_yes", "random", "low_perplexity", "high_perplexity"]
"""By what candidates are kept."""


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


def question(
    sample: Sample, group: Group, instruction: str, answer: str, choose: Choose, top_k: int
) -> ScoreItem:
    """P(yes) that an answer is right for an instruction, by the `top_k` likeliest tokens (0: all);
    where it is not what is chosen by, the answer's perplexity under the instruction.
    """
    style, task = style_of_group(group), group.task
    if choose == "p_yes":
        prompt = style.judge(task, instruction, answer)
        return ScoreItem(sample.sample_id, prompt, p_yes=True, p_yes_top_k=top_k)
    return ScoreItem(sample.sample_id, style.code(task, instruction), answer)


def best(group: Group, choose: Choose, kept: int, random: Random) -> list[Sample]:
    """The candidates that are kept, the best first; the earliest of equals."""
    if choose == "random":
        return random.sample(group.samples, min(kept, len(group.samples)))
    scored = [sample for sample in group.samples if sample.sample_id in group.scores]
    if not scored:
        return []
    values = [_value(group.scores[sample.sample_id], choose) for sample in scored]
    return [scored[place] for place in best_of([values], kept)[0]]


def _value(score: Score, choose: Choose) -> float:
    if choose == "p_yes":
        return score.p_yes or 0.0
    return score.perplexity * (1 if choose == "high_perplexity" else -1)


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
