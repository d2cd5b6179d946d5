"""The report's plots, each a pure function of its numbers to one SVG figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from roundsmith.report.svg import Scale, element, figure, ticks
from roundsmith.report.words import number, percent, whole

WIDTH = 760.0
LEFT, RIGHT = 170.0, 690.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its interval, drawn in the style `series`: before, control or after."""

    series: str
    value: float
    low: float
    high: float


def intervals(groups: Sequence[tuple[str, Sequence[Estimate]]]) -> Markup:
    """pass@k as marks with 95 % whiskers; one group a split and k."""
    every = [estimate for _, estimates in groups for estimate in estimates]
    low, high = _room([e.low for e in every], [e.high for e in every])
    x = Scale(low, high, LEFT, RIGHT)
    marks: list[Markup] = []
    y = 14.0
    for label, estimates in groups:
        middle = y + 11.0 * (len(estimates) - 1)
        marks.append(_text(LEFT - 14, middle + 4, label, "label", "end"))
        for estimate in estimates:
            marks.append(_whisker(estimate, x, y))
            y += 22.0
        y += 14.0
    axis = [_vertical(x(tick), 4, y - 8, percent_tick(tick)) for tick in ticks(low, high, 7)]
    told = "; ".join(
        f"{label} {e.series} {percent(e.value)} ({percent(e.low)} to {percent(e.high)})"
        for label, estimates in groups
        for e in estimates
    )
    return figure("pass", "pass@k with 95 % intervals", told, (WIDTH, y + 22), *axis, *marks)


def bars(
    name: str, title: str, amounts: Mapping[str, int], good: frozenset[str], *, shares: bool
) -> Markup:
    """Counts as horizontal bars, in order; those in `good` stand out; `shares` adds percents."""
    total = sum(amounts.values()) or 1
    x = Scale(0, max(amounts.values(), default=0) or 1, LEFT + 40, RIGHT - 60)
    marks: list[Markup] = []
    for at, (label, amount) in enumerate(amounts.items()):
        y = 6.0 + 28.0 * at
        width = max(x(amount) - x(0), 1.5 if amount else 0.0)
        style = "bar good" if label in good else "bar"
        value = whole(amount) + (f" · {percent(amount / total)}" if shares else "")
        marks.append(_text(x(0) - 12, y + 14, label, "label", "end"))
        marks.append(element("rect", x=x(0), y=y, width=width, height=18.0, rx=3, class_=style))
        marks.append(_text(x(0) + width + 8, y + 14, value, "value"))
    told = "; ".join(f"{label}: {amount}" for label, amount in amounts.items())
    return figure(name, title, told, (WIDTH, 12 + 28.0 * len(amounts)), *marks)


def percent_tick(value: float) -> str:
    """A tick of a share axis."""
    return f"{number(100 * value)} %"


def _room(lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    """The axis of shares: all intervals with some air, never beyond 0 and 1."""
    low, high = min(lows), max(highs)
    air = 0.08 * max(high - low, 0.02)
    return max(0.0, low - air), min(1.0, high + air)


def _whisker(estimate: Estimate, x: Scale, y: float) -> Markup:
    low, at, high = x(estimate.low), x(estimate.value), x(estimate.high)
    top, bottom = y - 5, y + 5
    ends = f"M{low:.1f} {top:.1f}V{bottom:.1f}M{high:.1f} {top:.1f}V{bottom:.1f}"
    span = f"{percent(estimate.low)} to {percent(estimate.high)}"
    return element(
        "g",
        element("title", f"{estimate.series}: {percent(estimate.value)}, {span}"),
        element("path", d=f"{ends}M{low:.1f} {y:.1f}H{high:.1f}", class_="whisker"),
        _mark(estimate.series, at, y),
        _text(RIGHT + 10, y + 4, percent(estimate.value), "value"),
        class_=f"series-{estimate.series}",
    )


def _mark(series: str, x: float, y: float) -> Markup:
    """Shapes differ too, for those who do not tell the colours apart."""
    if series == "before":
        return element("circle", cx=x, cy=y, r=5, class_="mark")
    if series == "control":
        return element("rect", x=x - 4.5, y=y - 4.5, width=9, height=9, class_="mark")
    return element("path", d=f"M{x:.1f} {y - 6.5:.1f}l6.5 6.5l-6.5 6.5l-6.5 -6.5z", class_="mark")


def _vertical(x: float, top: float, bottom: float, label: str) -> Markup:
    return element(
        "g",
        element("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"),
        _text(x, bottom + 18, label, "tick", "middle"),
    )


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> Markup:
    return element("text", text, x=x, y=y, class_=style, text_anchor=anchor)
