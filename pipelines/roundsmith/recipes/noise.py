"""How often a rule's pairs are wrong, told by hidden tests that no choice reads."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random

from roundsmith.benchmarks.scripts import runnable
from roundsmith.hashing import derive_seed
from roundsmith.recipes.matrix import Matrix, matrix_of
from roundsmith.recipes.minimax import Picks, Skip
from roundsmith.recipes.resolving import run_until_resolved
from roundsmith.recipes.session import Session
from roundsmith.types import AssertTest, Group, Kind, Outcome, Program, Row, Sample, Task
from roundsmith.verdicts import Label

REFERENCE = "reference"
"""The code_id of the task's own program in a group's outcomes."""
_WORDS = {
    Skip.NOTHING_PASSES: "no code passes a test",
    Skip.NOTHING_FAILS: "no code fails a test",
    Skip.SUSPECT_TESTS: "only suspect tests are failed",
    Skip.SAME_CODE: "no other code to reject",
}
_SAME_TEXT = "both codes are the same text"
_DROPPED = "its row comes too near to a held-out task"

Pick = Callable[[Matrix, str, Random], Picks]
"""What a rule of this name picks from a matrix."""


async def of_tests(session: Session, task: Task, tests: Sequence[Sample]) -> tuple[Outcome, ...]:
    """What the task's reference does on self-made tests; nothing without a reference."""
    if task.reference is None or not tests:
        return ()
    made = tuple(AssertTest(test.sample_id, test.text) for test in tests)
    return await run_until_resolved(
        session.services,
        f"{session.round}/{task.task_id}/{REFERENCE}",
        [Program(REFERENCE, runnable(task, task.reference), task.setup)],
        replace(task, tests=made),
        session.limits,
        every_test=True,
    )


def num_executions(group: Group) -> int:
    """How many of a group's outcomes are there for the label noise alone."""
    made = {sample.sample_id for sample in group.samples if sample.kind is Kind.TEST}
    return sum(o.test_id not in made or o.code_id == REFERENCE for o in group.outcomes)


def measure(
    chosen: Iterable[tuple[Group, Sequence[Row]]],
    pick: Pick,
    rules: Sequence[str],
    rule: str,
    seed: int,
) -> Mapping[str, float]:
    """Pairs, groups without one by reason and, where hidden tests were run, for each of `rules` the
    label noise: the share of its pairs whose chosen code fails a hidden test or whose rejected code
    passes all. `rule` is the one that chose the rows, by the same draws.
    """
    counts: Counter[str] = Counter()
    for group, rows in chosen:
        matrix = matrix_of(group)
        draws = derive_seed(seed, group.task.task_id)
        picks = {name: pick(matrix, name, Random(draws)) for name in rules}
        counts["pairs"] += len(rows)
        counts[f"no pair: {_why(matrix, picks[rule])}"] += not rows
        _count_truth(counts, group, matrix)
        for name in rules:
            _count_pair(counts, group, matrix, picks[name], name)
    return _told(counts, rules)


def _why(matrix: Matrix, picks: Picks) -> str:
    """Why a group has no pair."""
    if skip := _WORDS.get(Skip(int(picks.skip_G[0]))):
        return skip
    return _SAME_TEXT if _same_text(*_codes(matrix, picks)) else _DROPPED


def _codes(matrix: Matrix, picks: Picks) -> tuple[Sample, Sample]:
    """The chosen and the rejected code of a group that has both."""
    return matrix.codes[picks.chosen_code_G[0]], matrix.codes[picks.rejected_code_G[0]]


def _same_text(chosen: Sample, rejected: Sample) -> bool:
    return chosen.text.strip() == rejected.text.strip()


def _count_truth(counts: Counter[str], group: Group, matrix: Matrix) -> None:
    right = _right_codes(group)
    if right is None:
        return
    holds = _holding_tests(group)
    counts["codes"] += sum(s.kind is Kind.CODE for s in group.samples)
    counts["codes right"] += len(right)
    counts["tests"] += len(matrix.tests)
    counts["tests right"] += sum(test.sample_id in holds for test in matrix.tests)


def _count_pair(
    counts: Counter[str], group: Group, matrix: Matrix, picks: Picks, name: str
) -> None:
    right = _right_codes(group)
    if right is None or picks.skip_G[0] != Skip.NONE:
        return
    chosen, rejected = _codes(matrix, picks)
    if _same_text(chosen, rejected):
        return
    clean = chosen.sample_id in right, rejected.sample_id not in right
    counts[f"{name} pairs"] += 1
    counts[f"{name} chosen right"] += clean[0]
    counts[f"{name} rejected wrong"] += clean[1]
    counts[f"{name} noisy"] += not all(clean)
    if picks.chosen_test_G[0] >= 0:
        test = matrix.tests[picks.chosen_test_G[0]]
        counts[f"{name} chosen test right"] += test.sample_id in _holding_tests(group)


def _right_codes(group: Group) -> set[str] | None:
    """The codes that pass every hidden test; None where none were run."""
    hidden = {test.test_id for test in group.task.tests}
    if not any(outcome.test_id in hidden for outcome in group.outcomes):
        return None
    return {code.sample_id for code in group.passing()}


def _holding_tests(group: Group) -> set[str]:
    return {
        o.test_id for o in group.outcomes if o.code_id == REFERENCE and o.label is Label.POSITIVE
    }


def _told(counts: Counter[str], rules: Sequence[str]) -> dict[str, float]:
    """Counts of groups, and shares of what was looked at."""
    told = {"pairs": float(counts["pairs"])}
    told |= {
        name: float(count)
        for name, count in sorted(counts.items())
        if name.startswith("no pair") and count
    }
    for what in ("codes", "tests"):
        if counts[what]:
            told[f"{what} right"] = counts[f"{what} right"] / counts[what]
    for rule in rules:
        if not (pairs := counts[f"{rule} pairs"]):
            continue
        told[f"{rule}: pairs"] = float(pairs)
        told[f"{rule}: label noise"] = counts[f"{rule} noisy"] / pairs
        for part in ("chosen right", "rejected wrong", "chosen test right"):
            if f"{rule} {part}" in counts:
                told[f"{rule}: {part}"] = counts[f"{rule} {part}"] / pairs
    return told
