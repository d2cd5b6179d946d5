"""A function beside the work that makes its items: it sees all, and never holds the work up."""

from collections.abc import Iterable
from functools import partial
from itertools import islice

import pytest

from roundsmith.steps.aside import Aside

PARTS = [[1, 2], [], [3], [4, 5]]


def _taken(items: Iterable[int], few: int | None = None) -> list[int]:
    return list(islice(items, few))


def test_it_sees_every_item_in_order() -> None:
    with Aside(_taken) as aside:
        for part in PARTS:
            aside.give(part)
        within = aside.result()
    assert within == aside.result() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("few", [0, 1, 2])
def test_one_that_needs_few_items_does_not_hold_up_who_gives_more(few: int) -> None:
    with Aside(partial(_taken, few=few)) as aside:
        for part in PARTS:
            aside.give(part)
    assert aside.result() == [1, 2][:few]


def test_what_it_raises_is_raised_by_its_result_alone() -> None:
    def fails(items: Iterable[int]) -> None:
        raise ValueError(f"saw {next(iter(items))}")

    with Aside(fails) as aside:
        for part in PARTS:
            aside.give(part)
    with pytest.raises(ValueError, match="saw 1"):
        aside.result()


def test_when_the_work_fails_the_function_ends_too() -> None:
    aside = Aside(_taken)

    def work() -> None:
        with aside:
            aside.give([1])
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        work()
    assert aside.result() == [1]
