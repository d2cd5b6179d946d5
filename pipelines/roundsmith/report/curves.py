"""Plots with two axes: the histogram of perplexities and the loss curves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from roundsmith.report.svg import Scale, element, figure, ticks
from roundsmith.report.words import number

WIDTH, HEIGHT = 760.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 740.0, 12.0, 232.0
BINS = 32


@dataclass(frozen=True, slots=True)
class LossPoint:
    """The training loss after an optimizer step, nats a token."""

    step: int
    loss: float


def histogram(everything: Sequence[float], selected: Sequence[float]) -> Markup:
    """Perplexity of all scored samples (bars) against the selected rows (line), log axis, shares.

    Values that are not finite are left out. Perplexities are at least 1.
    """
    every, chosen = _finite(everything), _finite(selected)
    low, high = min(every + chosen), max(every + chosen)
    low, high = (low / 1.1, high * 1.1) if high <= low * 1.02 else (low, high)
    x = Scale(low, high, LEFT, RIGHT, log=True)
    shares_all, shares_selected = _shares(every, x), _shares(chosen, x)
    top = max([*shares_all, *shares_selected])
    y = Scale(0, top * 1.05, BOTTOM, TOP)
    width = (RIGHT - LEFT) / BINS
    marks = [
        element(
            "rect",
            x=LEFT + i * width + 0.5,
            y=y(s),
            width=width - 1,
            height=BOTTOM - y(s),
            class_="bar",
        )
        for i, s in enumerate(shares_all)
        if s
    ]
    if chosen:
        marks.append(
            element("path", d=_steps(shares_selected, y, width), class_="line series-after")
        )
    told = (
        f"{len(every)} scored samples, median {number(_median(every))}; "
        f"{len(chosen)} selected rows, median {number(_median(chosen)) if chosen else 'none'}"
    )
    axes = _axes(x, y, "perplexity (log scale)", "share", _log_ticks(low, high), percent=True)
    return figure(
        "perplexity", "Perplexity, all against selected", told, (WIDTH, HEIGHT), *axes, *marks
    )


def loss_curves(curves: Mapping[str, Sequence[LossPoint]]) -> Markup:
    """Training loss by step, one line a series (after, control)."""
    points = [point for curve in curves.values() for point in curve]
    x = Scale(min(p.step for p in points), max(p.step for p in points), LEFT, RIGHT)
    low, high = min(p.loss for p in points), max(p.loss for p in points)
    air = 0.06 * (high - low) or 0.1
    y = Scale(max(0.0, low - air), high + air, BOTTOM, TOP)
    marks = [
        element(
            "path",
            d=_polyline([(x(p.step), y(p.loss)) for p in curve]),
            class_=f"line series-{series}",
        )
        for series, curve in curves.items()
        if curve
    ]
    told = "; ".join(
        f"{series}: {number(curve[0].loss)} at step {curve[0].step} to "
        f"{number(curve[-1].loss)} at step {curve[-1].step}"
        for series, curve in curves.items()
        if curve
    )
    axes = _axes(x, y, "optimizer step", "loss", ticks(x.low, x.high, 8), percent=False)
    return figure("loss", "Training loss", told, (WIDTH, HEIGHT), *axes, *marks)


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value) and value > 0]


def _shares(values: Sequence[float], x: Scale) -> list[float]:
    counts = [0] * BINS
    for value in values:
        place = (x(value) - LEFT) / (RIGHT - LEFT)
        counts[min(BINS - 1, max(0, int(place * BINS)))] += 1
    return [amount / (len(values) or 1) for amount in counts]


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _log_ticks(low: float, high: float) -> list[float]:
    if high / low < 4:
        return ticks(low, high, 6)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 1000 else (1,)
    return [step * 10.0**p for p in powers for step in steps if low <= step * 10.0**p <= high]


def _steps(shares: Sequence[float], y: Scale, width: float) -> str:
    path = f"M{LEFT:.1f} {BOTTOM:.1f}"
    for i, share in enumerate(shares):
        path += f"V{y(share):.1f}H{LEFT + (i + 1) * width:.1f}"
    return f"{path}V{BOTTOM:.1f}"


def _polyline(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _axes(
    x: Scale, y: Scale, x_label: str, y_label: str, x_ticks: Sequence[float], percent: bool
) -> list[Markup]:
    marks = [
        element(
            "g",
            element("line", x1=LEFT, x2=RIGHT, y1=y(tick), y2=y(tick), class_="grid"),
            _text(
                LEFT - 8, y(tick) + 4, f"{number(100 * tick)} %" if percent else number(tick), "end"
            ),
        )
        for tick in ticks(y.low, y.high, 6)
    ]
    marks += [_text(x(tick), BOTTOM + 18, number(tick), "middle") for tick in x_ticks]
    marks.append(_text((LEFT + RIGHT) / 2, HEIGHT - 6, x_label, "middle"))
    marks.append(_text(LEFT - 52, TOP, y_label, "start"))
    return marks


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return element("text", text, x=x, y=y, class_="tick", text_anchor=anchor)
