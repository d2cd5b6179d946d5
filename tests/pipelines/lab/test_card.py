"""The card's reading of self-made tests, and its arithmetic on students of known skill."""

from collections.abc import Sequence

import pytest

from roundsmith.lab.card import Card, card, read_test, trivial
from roundsmith.lab.splits import tasks
from roundsmith.recipes.prompts import TEST_HEADER
from roundsmith.types import (
    CallTest,
    ExecuteItem,
    JudgedAt,
    Outcome,
    Program,
    Prompt,
    Sampling,
    Split,
    Task,
    Test,
)
from roundsmith.verdicts import Verdict


@pytest.mark.parametrize(
    ("completion", "args", "expected"),
    [
        ("[1, 2]) == 3", ([1, 2],), 3),
        ("-4) == -2", (-4,), -2),
        ("'ab') == {'a': 1, 'b': 1}", ("ab",), {"a": 1, "b": 1}),
        ("[]) == []", ([],), []),
    ],
)
def test_a_self_made_test_is_a_call_and_its_value(
    completion: str, args: tuple[object, ...], expected: object
) -> None:
    assert read_test(completion, "solve") == CallTest("self-made", "solve", args, expected)


@pytest.mark.parametrize(
    "completion",
    [
        "[1, 2]) == 3 or True",
        "1) == solve(1",
        "1) == solve(1)",
        "1) != 2",
        "__import__('os')) == 1",
        "1) == 1, solve(2) == 2",
        "[1, 2",
        "",
        "(" * 500,
    ],
)
def test_anything_else_is_no_test(completion: str) -> None:
    assert read_test(completion, "solve") is None


def test_calls_with_empty_values_are_trivial_and_zero_is_not() -> None:
    assert trivial(CallTest("t", "solve", ([],), 0))
    assert trivial(CallTest("t", "solve", (), 0))
    assert not trivial(CallTest("t", "solve", (0,), 0))


class _Student:
    """Writes the references of the tasks it knows, and `return None` for every other."""

    def __init__(self, known: Sequence[Task]) -> None:
        self._known = {task.description: task for task in known}
        self._by_code = {(task.reference or "").strip(): task for task in known}

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, n: int, seed: int
    ) -> list[list[str]]:
        return [[self._answer(str(prompt))] * n for prompt in prompts]

    def p_yes(self, prompts: Sequence[Prompt]) -> list[float]:
        return [float("return None" not in str(prompt)) for prompt in prompts]

    def _answer(self, prompt: str) -> str:
        if not prompt.endswith(('"""\n', "(")):
            task = self._by_code.get(prompt.split("### Code\n")[2].split("\n###")[0])
            return task.description if task else "nothing"
        task = self._known.get(prompt.split('"""')[1].strip())
        if TEST_HEADER not in prompt:
            return (task.reference or "").split("\n", 1)[1] if task else "    return None"
        made = [test for test in task.tests if isinstance(test, CallTest)][1] if task else None
        return f"{made.args[0]!r}) == {made.expected!r}" if made else "None) == None"


class _TrustedRunner:
    """Runs the programs of `_Student`, which are this repository's own, in this process."""

    def run(self, items: Sequence[ExecuteItem]) -> list[list[list[Outcome]]]:
        return [
            [[self._judge(code, test) for test in item.tests] for code in item.programs]
            for item in items
        ]

    def _judge(self, code: Program, test: Test) -> Outcome:
        assert isinstance(test, CallTest)
        scope: dict[str, object] = {}
        exec(code.source, scope)
        solve = scope["solve"]
        assert callable(solve)
        try:
            right = repr(solve(*test.args)) == repr(test.expected)
            verdict = Verdict.PASS if right else Verdict.FAIL
        except TypeError:
            verdict = Verdict.ERROR
        return Outcome(code.code_id, test.test_id, verdict, JudgedAt.OUTSIDE, tier="", image="")


def _card(num_known: int) -> Card:
    known = tasks(Split.GATE, 40)[:num_known]
    return card(_Student(known), _TrustedRunner(), Split.GATE, limit=40, n=2)


def test_a_student_who_knows_half_of_the_tasks_gets_half() -> None:
    made = _card(20)
    assert [(row.depth, row.num_tasks) for row in made.solved] == [(0, 40), (2, 20), (3, 20)]
    assert made.solved[0].pass_at_1 == made.solved[0].pass_at_n == 0.5
    assert made.round_trip == 0.5
    assert 0.4 <= made.tests_correct <= 0.5
    assert made.judge_auc == 1.0


def test_the_judge_has_no_curve_without_wrong_samples() -> None:
    made = _card(40)
    assert made.solved[0].pass_at_1 == made.round_trip == 1.0
    assert made.judge_auc is None
