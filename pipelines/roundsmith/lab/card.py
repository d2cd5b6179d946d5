"""The card of a model: how well it has the four skills that recipes stand on, on held-out tasks."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from roundsmith.hashing import derive_seed
from roundsmith.lab.splits import tasks
from roundsmith.recipes.prompts import (
    CODE_STOPS,
    DESCRIPTION_STOPS,
    TEST_STOPS,
    code_prompt,
    description_prompt,
    judge_prompt,
    test_prompt,
)
from roundsmith.statistics.auc import auc
from roundsmith.types import CallTest, ExecuteItem, Outcome, Program, Prompt, Sampling, Split, Task
from roundsmith.verdicts import solved

MAX_CODE_TOKENS = 120
MAX_DESCRIPTION_TOKENS = 64
MAX_TEST_TOKENS = 48


class Writer(Protocol):
    """The model under the card."""

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, n: int, seed: int
    ) -> list[list[str]]:
        """Draw `n` completions of every prompt, in the order of the prompts."""
        ...

    def p_yes(self, prompts: Sequence[Prompt]) -> list[float]:
        """Read P(Yes) against No as the first token after every prompt."""
        ...


class Runner(Protocol):
    """What runs programs."""

    def run(self, items: Sequence[ExecuteItem]) -> list[list[list[Outcome]]]:
        """Judge every matrix: outcomes by item, program and test, each in the order given."""
        ...


@dataclass(frozen=True, slots=True)
class Solved:
    """Shares of the tasks of one depth (0 is all of them), in [0, 1]; pass@n takes all n
    samples.
    """

    depth: int
    num_tasks: int
    pass_at_1: float
    pass_at_n: float


@dataclass(frozen=True, slots=True)
class Card:
    """Shares in [0, 1]. `tests_correct` counts self-made tests that hold and are not trivial."""

    n: int
    solved: tuple[Solved, ...]
    round_trip: float
    tests_correct: float
    judge_auc: float | None
    """The chance that a right sample gets a higher P(Yes) than a wrong one; None without both
    kinds.
    """


def card(
    writer: Writer,
    runner: Runner,
    split: Split = Split.GATE,
    limit: int | None = None,
    n: int = 8,
    seed: int = 0,
) -> Card:
    """Measure on the tasks of a split, at temperature 1 throughout."""
    chosen = tasks(split, limit)
    codes, right = _solve(writer, runner, chosen, [task.description for task in chosen], n, seed)
    return Card(
        n=n,
        solved=_by_depth(chosen, right),
        round_trip=_round_trip(writer, runner, chosen, seed),
        tests_correct=_tests_correct(writer, runner, chosen, seed),
        judge_auc=_judge_auc(writer, chosen, codes, right),
    )


def _solve(
    writer: Writer,
    runner: Runner,
    chosen: Sequence[Task],
    descriptions: Sequence[str],
    n: int,
    seed: int,
) -> tuple[list[list[str]], list[list[bool]]]:
    """Draw n bodies a description, and say which solve their task."""
    prompts = [code_prompt(task, text) for task, text in zip(chosen, descriptions, strict=True)]
    sampling = Sampling(max_tokens=MAX_CODE_TOKENS, stop=CODE_STOPS)
    bodies = writer.generate(prompts, sampling, n, derive_seed(seed, "code"))
    items = [
        ExecuteItem(
            task.task_id,
            tuple(
                Program(str(i), f"{task.head}\n{text}\n", task.setup)
                for i, text in enumerate(texts)
            ),
            task.tests,
        )
        for task, texts in zip(chosen, bodies, strict=True)
    ]
    return bodies, [[solved(row) for row in matrix] for matrix in runner.run(items)]


def _by_depth(chosen: Sequence[Task], right: Sequence[Sequence[bool]]) -> tuple[Solved, ...]:
    depths = sorted({int(task.meta["depth"]) for task in chosen})
    groups = [(0, list(right))] + [
        (
            depth,
            [
                row
                for task, row in zip(chosen, right, strict=True)
                if int(task.meta["depth"]) == depth
            ],
        )
        for depth in depths
    ]
    return tuple(
        Solved(
            depth, len(rows), _mean([_mean(row) for row in rows]), _mean([any(row) for row in rows])
        )
        for depth, rows in groups
    )


def _round_trip(writer: Writer, runner: Runner, chosen: Sequence[Task], seed: int) -> float:
    """The share of tasks solved from the model's own description of their reference."""
    demo = tasks(Split.TRAIN, 1)[0]
    prompts = [
        description_prompt(task.reference or "", demo.reference or "", demo.description)
        for task in chosen
    ]
    sampling = Sampling(max_tokens=MAX_DESCRIPTION_TOKENS, stop=DESCRIPTION_STOPS)
    drawn = writer.generate(prompts, sampling, 1, derive_seed(seed, "description"))
    _, right = _solve(
        writer, runner, chosen, [texts[0] for texts in drawn], 1, derive_seed(seed, "back")
    )
    return _mean([row[0] for row in right])


def _tests_correct(writer: Writer, runner: Runner, chosen: Sequence[Task], seed: int) -> float:
    """The share of self-made tests, one a task, that can be read and that the reference passes."""
    prompts = [test_prompt(task, task.description) for task in chosen]
    drawn = writer.generate(
        prompts, Sampling(max_tokens=MAX_TEST_TOKENS, stop=TEST_STOPS), 1, derive_seed(seed, "test")
    )
    items = [
        ExecuteItem(task.task_id, (Program("0", task.reference or "", task.setup),), (made,))
        for task, texts in zip(chosen, drawn, strict=True)
        if (made := read_test(texts[0], task.entry_point)) and not trivial(made)
    ]
    return sum(solved(matrix[0]) for matrix in runner.run(items)) / len(chosen)


def read_test(completion: str, entry_point: str) -> CallTest | None:
    """The test that `args) == value` after `assert entry_point(` stands for, or None for other
    text.
    """
    try:
        match ast.parse(f"{entry_point}({completion}", mode="eval").body:
            case ast.Compare(ast.Call(ast.Name(name), args, []), [ast.Eq()], [value]) if (
                name == entry_point
            ):
                literals = tuple(ast.literal_eval(arg) for arg in args)
                return CallTest("self-made", entry_point, literals, ast.literal_eval(value))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None
    return None


def trivial(test: CallTest) -> bool:
    """Whether the test calls with nothing or with an empty value, where the answer is easily
    guessed.
    """
    return not test.args or any(isinstance(arg, str | list | dict) and not arg for arg in test.args)


def _judge_auc(
    writer: Writer,
    chosen: Sequence[Task],
    codes: Sequence[Sequence[str]],
    right: Sequence[Sequence[bool]],
) -> float | None:
    """The area under the ROC curve of P(Yes) over all samples."""
    prompts = [
        judge_prompt(code_prompt(task, task.description) + text)
        for task, texts in zip(chosen, codes, strict=True)
        for text in texts
    ]
    labels = [label for row in right for label in row]
    return auc(writer.p_yes(prompts), labels) if any(labels) and not all(labels) else None


def _mean(values: Sequence[float | bool]) -> float:
    return sum(values) / len(values) if values else 0.0
