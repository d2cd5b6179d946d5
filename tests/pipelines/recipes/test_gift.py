"""GiFT's choice, worked out by hand (methods: arXiv 2502.11466, released code)."""

import math
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from roundsmith.errors import ConfigError
from roundsmith.recipes.gift import Gift, GiftConfig
from roundsmith.recipes.pools import kept_state, pool, scored_pool
from roundsmith.recipes.tail import weights
from roundsmith.types import Example
from roundsmith.verdicts import Verdict
from tests.pipelines.recipes.groups import STYLE, TASK, code, group, outcome, passes

perplexities = st.lists(st.floats(1.0, 1e6), min_size=1, max_size=8)


def test_defaults_are_those_of_the_release() -> None:
    config = GiftConfig()
    assert config.iterations == 20
    assert config.codes_per_iteration == 3
    assert config.temperature == 1.0
    assert (config.top_k, config.description_top_p) == (50, 0.95)
    assert config.selected_per_task == 8
    assert config.tail == 2.0
    assert config.fallback == "gold"
    training = config.training
    assert (training.learning_rate, training.epochs, training.batch_size) == (2e-5, 2, 128)
    assert (training.warmup_steps, training.warmup_start_ratio) == (30, 0.25)  # 5e-6 of 2e-5
    assert (training.weight_decay, training.adam_betas) == (0.05, (0.9, 0.999))


def test_weights_are_the_softmax_of_t_times_perplexity() -> None:
    # T = 2, PPL = 1, 1.5, 2: exp(2), exp(3), exp(4) over their sum, that is 1, e, e^2 over 11.107.
    total = 1 + math.e + math.e**2
    expected = [1 / total, math.e / total, math.e**2 / total]
    assert weights([1.0, 1.5, 2.0], 2.0) == pytest.approx(expected)
    assert weights([1.0, 1.5, 2.0], 2.0) == pytest.approx([0.09003, 0.24473, 0.66524], abs=1e-5)


def test_a_gap_of_three_at_t_two_gives_a_ratio_of_about_400() -> None:
    low, high = weights([1.0, 4.0], 2.0)
    assert high / low == pytest.approx(math.exp(6))  # 403.4


@given(perplexities)
def test_t_zero_is_uniform(values: list[float]) -> None:
    assert weights(values, 0.0) == pytest.approx([1 / len(values)] * len(values))


@given(perplexities, st.floats(0, 8))
def test_weights_sum_to_one_and_follow_the_order_of_perplexity(
    values: list[float], tail: float
) -> None:
    found = weights(values, tail)
    assert sum(found) == pytest.approx(1.0)
    ranked = sorted(zip(values, found, strict=True))
    assert all(a[1] <= b[1] + 1e-12 for a, b in pairwise(ranked))


def test_the_pool_keeps_one_passing_code_an_iteration_and_equal_codes_stay() -> None:
    a, b, c, d = code("a", 0), code("b", 0), code("c", 1), code("d", 2)
    found = pool(group((a, b, c, d), passes(a, b, c)))
    assert [s.step for s in found] == [0, 1]
    assert found[0] == kept_state([a, b])
    assert found[0].completion == found[1].completion


def test_the_kept_state_is_uniform_over_passing_codes() -> None:
    import hashlib

    ids = [[hashlib.sha256(f"{i}/{j}".encode()).hexdigest() for j in range(3)] for i in range(3000)]
    wins = Counter(
        names.index(kept.sample_id)
        for names in ids
        if (kept := kept_state([code(name, 0) for name in names])) is not None
    )
    assert all(900 < wins[j] < 1100 for j in range(3))
    assert kept_state([]) is None


@pytest.mark.parametrize("verdict", [Verdict.TAMPERED, Verdict.FLAKY, Verdict.INFRA_ERROR])
def test_what_is_no_label_never_enters_the_pool(verdict: Verdict) -> None:
    a = code("a", 0)
    outcomes = (outcome(a, "a", Verdict.PASS), outcome(a, "b", verdict))
    assert pool(group((a,), outcomes)) == []


def test_what_passed_near_its_limit_or_on_some_tests_only_never_enters_the_pool() -> None:
    a, b = code("a", 0), code("b", 1)
    near = (outcome(a, "a", Verdict.PASS), outcome(a, "b", Verdict.PASS, near_limit=True))
    assert pool(group((a, b), (*near, outcome(b, "a", Verdict.PASS)))) == []


def test_gold_comes_first_and_k_codes_follow_under_the_original_description() -> None:
    a, b = code("a", 0), code("b", 1, "    return x * 2")
    rows = Gift(GiftConfig()).select(group((a, b), passes(a, b), a=1.2, b=3.0), Random(0))
    assert len(rows) == 1 + 8
    examples = [row for row in rows if isinstance(row, Example)]
    prompt = STYLE.code(TASK, TASK.description)
    assert all(row.prompt == prompt for row in examples)
    assert examples[0].completion == "    return 2 * x"
    assert examples[0].provenance.parents == ()
    assert {row.provenance.parents for row in examples[1:]} <= {("a",), ("b",)}


def test_a_task_without_a_passing_code_gives_gold_alone() -> None:
    rows = Gift(GiftConfig()).select(group((code("a", 0),), ()), Random(0))
    assert [row.provenance.parents for row in rows] == [()]


def test_the_rare_code_is_drawn_by_its_weight() -> None:
    a, b = code("a", 0), code("b", 1)
    recipe = Gift(GiftConfig(selected_per_task=2000))
    rows = recipe.select(group((a, b), passes(a, b), a=1.0, b=1.5), Random(1))
    share = sum(row.provenance.parents == ("b",) for row in rows) / 2000
    assert share == pytest.approx(math.e / (1 + math.e), abs=0.03)  # 0.731


def test_the_choice_is_a_function_of_its_arguments() -> None:
    a, b = code("a", 0), code("b", 1)
    whole = group((a, b), passes(a, b), a=1.0, b=1.5)
    recipe = Gift(GiftConfig())
    assert recipe.select(whole, Random(5)) == recipe.select(whole, Random(5))


def test_one_task_alone_is_refused_in_the_singular() -> None:
    with pytest.raises(ConfigError, match="saw 1 training task with a reference"):
        Gift(GiftConfig()).check([TASK])
    with pytest.raises(ConfigError, match="saw 0 training tasks with a reference"):
        Gift(GiftConfig()).check([])


def test_dedup_keeps_the_first_of_equal_codes_whatever_their_wording() -> None:
    a, b, c = code("a", 0), code("b", 1), code("c", 2, "    1")
    assert a.text != b.text  # the docstring is the description of the iteration
    whole = group((a, b, c), passes(a, b, c), a=1.0, b=9.0, c=1.0)
    assert [s.sample_id for s in scored_pool(whole, False)] == ["a", "b", "c"]
    assert [s.sample_id for s in scored_pool(whole, True)] == ["a", "c"]


def test_perplexity_is_asked_under_the_description_that_the_setting_names() -> None:
    a = code("a", 1)
    whole = group((a,), passes(a))
    generating = Gift(GiftConfig()).question(a, whole)
    original = Gift(GiftConfig(condition="original")).question(a, whole)
    assert generating.prompt == a.prompt == STYLE.code(TASK, "wording 1")
    assert original.prompt == STYLE.code(TASK, TASK.description)
    assert generating.completion == original.completion


def test_the_summary_tells_how_even_the_weights_are() -> None:
    """Weights 1/(1+e) and e/(1+e): the effective size is 1/(0.268941^2 + 0.731059^2) = 1.648054."""
    a, b = code("a", 0), code("b", 1)
    whole, empty = group((a, b), passes(a, b), a=1.0, b=1.5), group((), ())
    recipe = Gift(GiftConfig())
    told = recipe.measure([(g, recipe.select(g, Random(0))) for g in (whole, empty)], seed=0)
    assert told["tasks with a pool"] == 1
    assert told["codes in a pool"] == 2
    assert told["effective sample size"] == pytest.approx(1.648054, abs=1e-5)
    assert told["distinct codes drawn"] == 1.0  # both are one code, of two iterations
    assert recipe.measure([(empty, [])], seed=0) == {"tasks with a pool": 0}


@pytest.mark.parametrize(
    "settings",
    [
        {"tail": math.nan},
        {"tail": math.inf},
        {"training": {"learning_rate": math.inf}},
        {"training": {"adam_betas": [0.9, 1.0]}},
    ],
)
def test_settings_that_no_training_or_draw_can_use_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Gift.from_config(settings)


def test_a_code_whose_perplexity_is_no_number_is_not_drawn() -> None:
    a, b = code("a", 0), code("b", 1)
    whole = group((a, b), passes(a, b), a=1.0, b=math.nan)
    assert [s.sample_id for s in scored_pool(whole, False)] == ["a"]
