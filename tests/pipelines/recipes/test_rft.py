"""RFT's choice: passing, distinct, without replacement."""

from random import Random

from roundsmith.recipes.gift import Gift, GiftConfig
from roundsmith.recipes.rft import Rft, RftConfig
from tests.pipelines.recipes.groups import code, group, passes


def test_its_default_budget_is_gifts() -> None:
    gift, rft = GiftConfig(), RftConfig()
    assert rft.samples_per_task == gift.iterations * gift.codes_per_iteration
    assert rft.selected_per_task == gift.selected_per_task
    assert rft.training == gift.training


def test_other_tasks_are_shown_only_where_codes_are_described() -> None:
    assert not Rft(RftConfig()).demonstrates
    assert Rft(RftConfig(rewritten=2)).demonstrates
    assert Gift(GiftConfig()).demonstrates
    assert not Gift(GiftConfig(iterations=1)).demonstrates


def test_equal_codes_are_drawn_once_and_fewer_than_k_are_all_taken() -> None:
    a, b, c = code("a", 0), code("b", 0), code("c", 0, "    return x * 2")
    rows = Rft(RftConfig()).select(group((a, b, c), passes(a, b, c)), Random(0))
    assert sorted(row.provenance.parents for row in rows) == [(), ("a",), ("c",)]


def test_equal_codes_of_rewritten_descriptions_are_drawn_once() -> None:
    a, b, c = code("a", 0), code("b", 1), code("c", 2, "    return x * 2")
    rows = Rft(RftConfig(rewritten=2)).select(group((a, b, c), passes(a, b, c)), Random(0))
    assert sorted(row.provenance.parents for row in rows) == [(), ("a",), ("c",)]


def test_no_more_than_k_are_drawn() -> None:
    codes = tuple(code(f"{i}", 0, f"    return {i} * x") for i in range(9))
    rows = Rft(RftConfig(selected_per_task=4)).select(group(codes, passes(*codes)), Random(0))
    assert len(rows) == 1 + 4
    assert len({row.provenance.parents for row in rows}) == 5
