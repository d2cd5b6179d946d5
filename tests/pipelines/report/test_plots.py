"""Scales, ticks and words under the plots."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from roundsmith.report.curves import LossPoint, histogram, loss_curves
from roundsmith.report.svg import Scale, element, ticks
from roundsmith.report.words import duration, number, p_equals, p_value, percent, points, whole


def test_hand_worked_ticks() -> None:
    assert ticks(0, 1, 5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(0.31, 0.52, 5) == [0.35, 0.4, 0.45, 0.5]
    assert ticks(3, 3) == [3]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 10))
def test_ticks_lie_inside_evenly_and_are_about_as_many(low: float, span: float, count: int) -> None:
    high = low + span
    found = ticks(low, high, count)
    slack = span * 1e-6 + abs(low) * 1e-12  # a float next to 10^6 is no finer
    assert all(low - slack <= tick <= high + slack for tick in found)
    assert len(found) <= count + 1
    steps = [b - a for a, b in itertools.pairwise(found)]
    assert not steps or max(steps) - min(steps) <= 1e-6 * max(1.0, abs(low), span)


@given(st.floats(1, 50), st.floats(1.01, 100), st.floats(0, 1))
def test_a_log_scale_keeps_ratios(low: float, ratio: float, share: float) -> None:
    scale = Scale(low, low * ratio, 0, 100, log=True)
    assert scale(low * ratio**share) == pytest.approx(100 * share, abs=1e-6)


def test_a_scale_without_a_span_puts_everything_in_the_middle() -> None:
    assert Scale(2, 2, 0, 100)(2) == 50


def test_elements_escape_what_they_hold() -> None:
    made = element("text", "<b>", Markup("<i>"), class_='"x', text_anchor="end", x=1.50)
    assert made == '<text class="&#34;x" text-anchor="end" x="1.5">&lt;b&gt;<i></text>'


@given(
    st.lists(st.floats(1, 1e9) | st.just(math.inf), min_size=1, max_size=30).filter(
        lambda values: any(math.isfinite(v) for v in values)
    )
)
def test_any_perplexities_can_be_drawn(values: list[float]) -> None:
    drawn = histogram(values, values[:3])
    assert "nan" not in drawn
    assert "inf" not in drawn.replace("infinite", "")


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_any_losses_can_be_drawn(losses: list[float]) -> None:
    drawn = loss_curves({"after": [LossPoint(i, loss) for i, loss in enumerate(losses)]})
    assert "nan" not in drawn


def test_numbers_are_written_as_people_read_them() -> None:
    plain = str.maketrans("\u202f\u00a0", "  ")
    assert percent(0.4567).translate(plain) == "45.7 %"
    assert percent(0.0001).translate(plain) == "< 0.1 %"
    assert percent(0.0).translate(plain) == "0.0 %"
    assert points(-0.0512) == "−5.1"
    assert points(0.0512) == "+5.1"
    assert p_value(0.0123) == "0.012"
    assert p_equals(1 / 100_001).translate(plain) == "p <= 1e-05"
    assert p_equals(0.05).translate(plain) == "p = 0.05"
    assert whole(1234567).translate(plain) == "1 234 567"
    assert [duration(v) for v in (0.0, 0.0123, 0.05)] == ["0.0 s", "12 ms", "0.1 s"]
    assert duration(59.94) == "59.9 s"
    assert duration(61.4) == "1 min 1 s"
    assert duration(7322) == "2 h 2 min"
    assert [number(v) for v in (0.0, 0.25, 1500.0, 1e7)] == ["0", "0.25", "1500", "1.0e+07"]
