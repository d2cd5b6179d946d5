"""report.html of a comparison: claims with their intervals, arms seed by seed, costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from roundsmith.report import words
from roundsmith.report.html import HERE, environment, policy
from roundsmith.report.svg import Scale, element, figure, ticks

WIDTH = 760.0
LEFT, RIGHT = 250.0, 720.0
LINE = 26.0
SERIES = {"yes": "after", "no": "control", "undecided": "before"}
"""The style of each verdict."""


@dataclass(frozen=True, slots=True)
class ArmRow:
    """An arm: pass@1 on final of every seed, and means of what it trained on and spent."""

    name: str
    says: str
    headline: bool
    values: tuple[float, ...]
    rows: float
    steps: float
    tokens: float
    executions: float
    tokens_per_point: float | None
    """A point of pass@1 over the untrained model; None without a gain."""
    executions_per_point: float | None

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return sum(self.values) / len(self.values)


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim: differences and margin are shares; an end of `interval` may be infinite."""

    claim: str
    source: str
    arms: str
    where: str
    difference: float
    interval: tuple[float, float]
    margin: float
    p_value: float
    detects: float | None
    holds: str
    because: str
    note: str
    """Which claims it is one of, where not of the headline ones."""
    other_bases: tuple[float, float] | None = None
    """None where there are too few base models, or nothing is known."""


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """What the page is made of."""

    recipe: str
    scope: str
    arms: tuple[ArmRow, ...]
    claims: tuple[ClaimRow, ...]


def render(page: ComparisonPage) -> str:
    """The page; the same numbers, the same bytes."""
    style = (HERE / "report.css").read_text("utf-8")
    text = (
        environment()
        .get_template("comparison.html.j2")
        .render(
            page=page,
            claims_plot=forest(page.claims) if page.claims else Markup(""),
            arms_plot=strips(page.arms) if page.arms else Markup(""),
            costs_plot=costs(page.arms) if any(a.tokens for a in page.arms) else Markup(""),
            style=Markup(style),
            policy=policy(style),
        )
    )
    return text.encode("utf-8", "replace").decode()


def forest(claims: Sequence[ClaimRow]) -> Markup:
    """Each claim's difference with its interval, against 0 and its margin; one without an interval
    is a mark alone.
    """
    ends = [end for c in claims for end in (*c.interval, c.difference) if math.isfinite(end)]
    low, high = min([*ends, 0.0]), max([*ends, *(c.margin for c in claims)])
    air = 0.06 * (high - low)
    x = Scale(low - air, high + air, LEFT, RIGHT)
    bottom = LINE * len(claims) + 6
    marks = [_vertical(x(tick), bottom, words.points(tick)) for tick in ticks(x.low, x.high, 7)]
    marks.append(element("line", x1=x(0), x2=x(0), y1=0.0, y2=bottom, class_="whisker"))
    for at, claim in enumerate(claims):
        y = LINE * at + 16
        marks.append(_text(LEFT - 12, y + 4, claim.arms, "label", "end"))
        marks.append(_whisker(claim, x, y))
    told = "; ".join(f"{c.claim}: {words.points(c.difference)} points, {c.holds}" for c in claims)
    return figure("claims", "Differences with Holm's intervals", told, (WIDTH, bottom + 30), *marks)


def strips(arms: Sequence[ArmRow]) -> Markup:
    """pass@1 of every seed as a dot, and the mean over seeds as a line, an arm below another."""
    every = [value for arm in arms for value in arm.values]
    air = 0.06 * max(max(every) - min(every), 0.01)
    x = Scale(max(0.0, min(every) - air), min(1.0, max(every) + air), LEFT, RIGHT)
    bottom = LINE * len(arms) + 6
    marks = [_vertical(x(t), bottom, f"{words.number(100 * t)} %") for t in ticks(x.low, x.high, 7)]
    for at, arm in enumerate(arms):
        y = LINE * at + 16
        marks.append(_text(LEFT - 12, y + 4, arm.name, "label", "end"))
        dots = [element("circle", cx=x(v), cy=y, r=4, class_="mark") for v in arm.values]
        series = "series-after" if arm.headline else "series-before"
        marks.append(element("g", *dots, class_=series, fill_opacity=0.55))
        middle = x(arm.mean)
        marks.append(
            element("line", x1=middle, x2=middle, y1=y - 9, y2=y + 9, class_=f"line {series}")
        )
    told = "; ".join(f"{arm.name} {words.percent(arm.mean)}" for arm in arms)
    return figure("arms", "pass@1 of every seed", told, (WIDTH, bottom + 30), *marks)


def costs(arms: Sequence[ArmRow]) -> Markup:
    """pass@1 against sampled and scored tokens, log axis; arms that spend none stand at its left
    end.
    """
    spent = [arm.tokens for arm in arms if arm.tokens]
    x = Scale(min(spent) / 2, max(spent) * 1.6, 70.0, RIGHT - 90, log=True)
    values = [arm.mean for arm in arms]
    air = 0.08 * max(max(values) - min(values), 0.01)
    y = Scale(min(values) - air, max(values) + air, 250.0, 14.0)
    marks = [
        element(
            "g",
            element("line", x1=70.0, x2=RIGHT, y1=y(tick), y2=y(tick), class_="grid"),
            _text(62.0, y(tick) + 4, f"{words.number(100 * tick)} %", "tick", "end"),
        )
        for tick in ticks(y.low, y.high, 6)
    ]
    powers = range(math.floor(math.log10(x.low)), math.ceil(math.log10(x.high)) + 1)
    shown = [m * 10.0**p for p in powers for m in (1, 2, 5) if x.low <= m * 10.0**p <= x.high]
    marks += [_text(x(tick), 268.0, words.whole(round(tick)), "tick", "middle") for tick in shown]
    marks.append(_text(400.0, 288.0, "sampled and scored tokens (log scale)", "tick", "middle"))
    for arm in arms:
        place = x(arm.tokens) if arm.tokens else 76.0
        dot = element("circle", cx=place, cy=y(arm.mean), r=4.5, class_="mark")
        name = _text(place + 8, y(arm.mean) + 4, arm.name, "value")
        marks.append(
            element("g", dot, name, class_="series-after" if arm.headline else "series-before")
        )
    told = "; ".join(f"{a.name}: {a.tokens:.0f} tokens, {words.percent(a.mean)}" for a in arms)
    return figure("costs", "pass@1 against tokens", told, (WIDTH, 296.0), *marks)


def _whisker(claim: ClaimRow, x: Scale, y: float) -> Markup:
    at, edge = x(claim.difference), x(claim.margin)
    parts = [element("line", x1=edge, x2=edge, y1=y - 8, y2=y + 8, class_="grid")]
    if all(map(math.isfinite, claim.interval)):
        low, high = map(x, claim.interval)
        ends = f"M{low:.1f} {y - 5:.1f}V{y + 5:.1f}M{high:.1f} {y - 5:.1f}V{y + 5:.1f}"
        parts.append(element("path", d=f"{ends}M{low:.1f} {y:.1f}H{high:.1f}", class_="whisker"))
    parts.append(element("circle", cx=at, cy=y, r=4.5, class_="mark"))
    parts.append(element("title", f"{claim.claim}: {claim.holds}"))
    return element("g", *parts, class_=f"series-{SERIES[claim.holds]}")


def _vertical(x: float, bottom: float, label: str) -> Markup:
    line = element("line", x1=x, x2=x, y1=0.0, y2=bottom, class_="grid")
    return element("g", line, _text(x, bottom + 18, label, "tick", "middle"))


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> Markup:
    return element("text", text, x=x, y=y, class_=style, text_anchor=anchor)
