"""DSTC's choice on hand-written groups, what it leaves out, and what it never reads."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from roundsmith.errors import ConfigError
from roundsmith.recipes.dstc import Dstc, DstcConfig
from roundsmith.recipes.matrix import matrix_of
from roundsmith.recipes.noise import REFERENCE
from roundsmith.recipes.self_tests import MAX_CHARACTERS, asserts
from roundsmith.types import Group, Kind, Outcome, Pair, Row, Sample
from roundsmith.verdicts import Verdict
from tests.pipelines.recipes.groups import TASK, code, outcome

BODIES = ("    return 2 * x", "    return x + x", "    return x", "    return 1")


def self_made(name: str, source: str) -> Sample:
    """A self-made test whose id is `name`."""
    return replace(code(name, 0), kind=Kind.TEST, completion=source[13:], text=source)


CODES = tuple(code(f"c{i}", 0, body) for i, body in enumerate(BODIES))
TESTS = tuple(self_made(f"t{i}", f"assert solve({i}) == {2 * i}") for i in range(3))


def made(*rows: str, codes: tuple[Sample, ...] = CODES, **changed: Verdict) -> Group:
    """The group of a matrix; `changed` gives a cell, such as c0t1, another verdict."""
    outcomes = []
    for sample, row in zip(codes, rows, strict=True):
        for tested, cell in zip(TESTS, row, strict=True):
            verdict = Verdict.PASS if cell == "1" else Verdict.FAIL
            name = f"{sample.sample_id}{tested.sample_id}"
            outcomes.append(outcome(sample, tested.sample_id, changed.get(name, verdict)))
    return Group(TASK, (*codes, *TESTS), tuple(outcomes))


def select(group: Group, seed: int = 0, **config: Any) -> list[Row]:
    return list(Dstc(DstcConfig(**config)).select(group, Random(seed)))


def test_a_pair_is_the_chosen_code_with_its_test_against_the_rejected_with_its() -> None:
    """
          t0 t1 t2    S
    c0     1  1  1    3    j+; its hardest test is t2 (T = 1)
    c1     1  1  0    2
    c2     1  0  0    1
    c3     0  1  0    1    k- = t0 (T = 3, first), which c3 alone fails
    """
    (row,) = select(made("111", "110", "100", "010"))
    assert isinstance(row, Pair)
    assert row.prompt == CODES[0].prompt
    assert row.chosen == "    return 2 * x\n\nassert solve(2) == 4"
    assert row.rejected == "    return 1\n\nassert solve(0) == 0"
    assert row.provenance.parents == ("c0", "t2", "c3", "t0")
    assert (row.provenance.tier, row.provenance.weights_sha256) == ("T1", "w" * 64)


def test_bare_codes_are_paired_where_no_test_is_to_be_joined() -> None:
    (row,) = select(made("111", "110", "100", "010"), join_tests=False)
    assert isinstance(row, Pair)
    assert (row.chosen, row.rejected) == ("    return 2 * x", "    return 1")
    assert row.provenance.parents == ("c0", "c3")
    (row,) = select(made("111", "110", "100", "010"), rule="best_worst", join_tests=False)
    assert row.provenance.parents == ("c0", "c2")


def test_a_random_pair_with_and_without_tests_is_the_same_pair() -> None:
    for seed in range(20):
        group = made("111", "110", "100", "010")
        (joined,) = select(group, seed, rule="random")
        (bare,) = select(group, seed, rule="random", join_tests=False)
        assert joined.provenance.parents[::2] == bare.provenance.parents


@pytest.mark.parametrize(
    "rows",
    [
        ("000", "000", "000", "000"),  # nothing passes
        ("111", "111", "111", "111"),  # nothing fails
        ("100", "100", "100", "100"),  # what is failed is failed by all: a wrong test, perhaps
    ],
)
def test_a_matrix_that_tells_nothing_gives_no_pair(rows: tuple[str, ...]) -> None:
    for rule in ("minimax", "best_worst"):
        assert select(made(*rows), rule=rule, join_tests=rule == "minimax") == []


def test_a_group_without_codes_or_without_tests_gives_no_pair() -> None:
    assert select(Group(TASK, ())) == []
    assert select(Group(TASK, CODES)) == []
    assert select(Group(TASK, TESTS)) == []


def test_two_codes_of_one_text_are_no_pair() -> None:
    same = (CODES[0], replace(CODES[1], text=CODES[0].text), *CODES[2:])
    group = made("110", "010", "110", "110", codes=same)
    assert matrix_of(group).passed_JK.tolist()[1] == [False, True, False]
    assert select(group) == [], "c0 and c1 are picked, and are one program"
    assert len(select(made("110", "010", "110", "110"))) == 1


@pytest.mark.parametrize("verdict", [Verdict.TAMPERED, Verdict.FLAKY, Verdict.UNKNOWN])
def test_a_code_with_a_cell_that_may_be_no_label_is_left_out(verdict: Verdict) -> None:
    matrix = matrix_of(made("111", "110", "100", "010", c0t1=verdict))
    assert [sample.sample_id for sample in matrix.codes] == ["c1", "c2", "c3"]
    (row,) = select(made("111", "110", "100", "010", c0t1=verdict))
    assert row.provenance.parents[0] == "c1"


def test_a_code_that_ended_near_its_limit_is_left_out() -> None:
    group = made("111", "110", "100", "010")
    near = replace(group.outcomes[0], near_limit=True)
    group = replace(group, outcomes=(near, *group.outcomes[1:]))
    assert [sample.sample_id for sample in matrix_of(group).codes] == ["c1", "c2", "c3"]


def test_the_choice_reads_no_outcome_of_the_tasks_own_tests_nor_its_reference() -> None:
    group = made("111", "110", "100", "010")
    for verdicts in ((Verdict.PASS, Verdict.FAIL), (Verdict.FAIL, Verdict.PASS)):
        hidden = [outcome(c, t, v) for c in CODES for t, v in zip("ab", verdicts, strict=True)]
        holds = [replace(hidden[0], code_id=REFERENCE, test_id=t.sample_id) for t in TESTS]
        told = replace(group, outcomes=(*hidden, *group.outcomes, *holds))
        other = replace(told, task=replace(TASK, reference="def solve(x): return 7\n", tests=()))
        assert select(told) == select(group) == select(other)
        assert Dstc(DstcConfig()).measuring(told) == len(hidden) + len(holds)
    assert Dstc(DstcConfig()).measuring(group) == 0


def test_the_noise_of_each_rule_is_told_by_hidden_tests_alone() -> None:
    """c0 and c1 are right, c2 and c3 wrong. Minimax picks c0 over c3: clean, and t2 holds.

    With the matrix turned around it picks c3 over c0: its chosen is wrong and its rejected right.
    """
    right = made("111", "110", "100", "010")
    wrong = made("010", "100", "110", "111")
    hidden = (
        *(outcome(c, t, Verdict.PASS) for c in CODES[:2] for t in "ab"),
        *(outcome(c, t, Verdict.FAIL) for c in CODES[2:] for t in "ab"),
    )
    truth = [
        replace(outcome(CODES[0], t.sample_id, v), code_id=REFERENCE)
        for t, v in zip(TESTS, (Verdict.PASS, Verdict.FAIL, Verdict.PASS), strict=True)
    ]
    groups = [replace(g, outcomes=(*g.outcomes, *hidden, *truth)) for g in (right, wrong)]
    recipe = Dstc(DstcConfig())
    told = recipe.measure([(g, recipe.select(g, Random(0))) for g in groups], seed=0)
    assert told["pairs"] == 2
    assert told["codes right"] == 0.5
    assert told["tests right"] == pytest.approx(2 / 3)
    assert told["minimax: label noise"] == 0.5
    assert told["minimax: chosen right"] == told["minimax: rejected wrong"] == 0.5
    assert told["minimax: chosen test right"] == 1.0
    assert told["best_worst: label noise"] == 0.5
    assert "best_worst: chosen test right" not in told


def test_groups_without_a_pair_are_counted_by_reason_and_none_is_noise_without_hidden_tests() -> (
    None
):
    groups = [made("000", "000", "000", "000"), made("111", "111", "111", "111")]
    told = Dstc(DstcConfig()).measure([(g, []) for g in groups], seed=0)
    assert told == {
        "pairs": 0,
        "no pair: no code fails a test": 1,
        "no pair: no code passes a test": 1,
    }


def test_tests_are_joined_only_where_the_rule_picks_one() -> None:
    with pytest.raises(ValidationError, match="picks no tests"):
        DstcConfig(rule="best_worst")


def test_tasks_without_a_function_to_call_are_refused() -> None:
    with pytest.raises(ConfigError, match="an entry point that a test can call, saw none among 1"):
        Dstc(DstcConfig()).check([replace(TASK, entry_point="")])
    Dstc(DstcConfig()).check([TASK])


def test_the_objective_chooses_the_stage() -> None:
    for name in ("dpo", "kto"):
        config = {"training": {"objective": name, "beta": 0.3}}
        (stage,) = Dstc.from_config(config).stages()
        assert (stage.objective, stage.beta) == (name, 0.3)
    with pytest.raises(ValidationError):
        DstcConfig.model_validate({"training": {"objective": "sft"}})


@pytest.mark.parametrize(
    ("source", "asks"),
    [
        ("assert solve(1) == 2", True),
        ("assert 2 == solve(1)", True),
        ("assert solve([1, 2])", True),
        ("assert not solve('')", True),
        ("assert abs(solve(1) - 0.5) < 1e-6", True),
        ("assert isinstance(solve(1), int)", True),
        ("", False),
        ("assert True", False),
        ("assert other(1) == 2", False),
        ("solve(1) == 2", False),
        ("assert solve(1) == solve(1)", False),
        ("assert (solve(1), 2)", False),
        ("assert solve(1) == 2 or True", False),
        ("assert solve(1) ==", False),
        ("assert solve(1) == 2\nassert solve(2) == 4", False),
        ("def solve(x): return 1", False),
        ("assert solve(1) == '\0'", False),
        (f"assert solve({'[' * 40}{']' * 40}) == 1", False),
        (f"assert solve({'1' * MAX_CHARACTERS}) == 1", False),
    ],
)
def test_only_an_assert_that_calls_the_entry_point_is_a_test(source: str, asks: bool) -> None:
    assert asserts(source, "solve") is asks


def test_outcomes_of_one_run_are_one_cell_each() -> None:
    seen: list[Outcome] = list(made("111", "110", "100", "010").outcomes)
    assert len({(o.code_id, o.test_id) for o in seen}) == 12


def test_a_pair_that_came_too_near_to_a_held_out_task_is_told_as_that() -> None:
    whole = made("010", "100", "110", "111")
    recipe = Dstc(DstcConfig())
    assert recipe.select(whole, Random(0))
    told = recipe.measure([(whole, [])], seed=0)  # what select made was dropped
    assert told == {"pairs": 0, "no pair: its row comes too near to a held-out task": 1}


def test_by_default_a_training_is_ours_whatever_else_is_said_of_it() -> None:
    for said in ({}, {"objective": "dpo"}, {"objective": "kto"}, {"batch_size": 16}):
        tuning = Dstc.from_config({"training": said}).config.training
        assert (tuning.epochs, tuning.learning_rate, tuning.warmup_steps) == (1, 1e-6, 10)
        assert (tuning.warmup_start_ratio, tuning.weight_decay) == (0, 0)


def test_a_rejected_test_that_every_code_must_pass_is_refused() -> None:
    with pytest.raises(ValidationError, match="min_passes: expected less than num_codes, 10"):
        DstcConfig(min_passes=10)
    assert DstcConfig(min_passes=9).min_passes == 9
