"""The accounting of verdicts: what may train, what counts as solved, what must be run again."""

from dataclasses import replace

import pytest

from roundsmith.errors import IncompleteEvaluation
from roundsmith.types import JudgedAt, Outcome
from roundsmith.verdicts import Label, Verdict, reward, solved

PASSED = Outcome("c", "t", Verdict.PASS, JudgedAt.OUTSIDE, "T1", "py")
UNRESOLVED = {Verdict.INFRA_ERROR, Verdict.CANCELLED}
NO_LABEL = UNRESOLVED | {Verdict.TAMPERED, Verdict.FLAKY, Verdict.UNKNOWN}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_pass_is_positive_and_what_says_nothing_has_no_label(verdict: Verdict) -> None:
    expected = Label.NONE if verdict in NO_LABEL else Label.NEGATIVE
    assert verdict.label is (Label.POSITIVE if verdict is Verdict.PASS else expected)
    assert replace(PASSED, verdict=verdict, near_limit=True).label is Label.NONE


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - UNRESOLVED - {Verdict.PASS}))
def test_one_test_that_did_not_pass_is_not_solved_and_earns_nothing(verdict: Verdict) -> None:
    outcomes = [PASSED, replace(PASSED, verdict=verdict)]
    assert not solved(outcomes)
    assert reward(outcomes) == 0.0


def test_all_passed_is_solved_and_near_the_limit_is_not() -> None:
    assert solved([PASSED, PASSED])
    assert reward([PASSED]) == 1.0
    assert not solved([PASSED, replace(PASSED, near_limit=True)])


@pytest.mark.parametrize("verdict", sorted(UNRESOLVED))
def test_an_unresolved_sample_is_run_again_and_its_reward_masked(verdict: Verdict) -> None:
    outcomes = [PASSED, replace(PASSED, verdict=verdict)]
    assert reward(outcomes) is None
    assert reward([]) is None
    for incomplete in (outcomes, []):
        with pytest.raises(IncompleteEvaluation, match="run again"):
            solved(incomplete)
