"""The area under the ROC curve against its definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.statistics import auc

LABELLED = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


def test_hand_worked_case() -> None:
    # Of the pairs (0.9 > 0.5), (0.9 > 0.1), (0.5 = 0.5), (0.5 > 0.1): three and a half of four.
    assert auc([0.9, 0.5, 0.5, 0.1], [True, True, False, False]) == 0.875


@given(LABELLED)
def test_it_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    positive, negative = ([s for s, label in rows if label is want] for want in (True, False))
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    scores, labels = [float(s) for s, _ in rows], [label for _, label in rows]
    assert auc(scores, labels) == pytest.approx(wins / (len(positive) * len(negative)))


@given(LABELLED)
def test_turning_the_labels_around_mirrors_it(rows: list[tuple[int, bool]]) -> None:
    scores = [float(s) for s, _ in rows]
    there, back = auc(scores, [y for _, y in rows]), auc(scores, [not y for _, y in rows])
    assert there + back == pytest.approx(1.0)


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 negatives"):
        auc([1.0, 2.0], [True, True])
