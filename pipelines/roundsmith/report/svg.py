"""SVG elements and scales: as much of a plotting library as the report needs."""

import math
from dataclasses import dataclass

from markupsafe import Markup, escape

Attribute = str | float | int


def element(tag: str, *children: Markup | str, **attributes: Attribute) -> Markup:
    """One element, text and attribute values escaped; `text_anchor` becomes `text-anchor`."""
    given = Markup("").join(
        Markup(' {}="{}"').format(name.strip("_").replace("_", "-"), _shown(value))
        for name, value in attributes.items()
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), given, inside)


def figure(
    name: str, title: str, description: str, size: tuple[float, float], *marks: Markup
) -> Markup:
    """A whole plot of `size` (width, height), titled and described for those who hear it."""
    width, height = size
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *marks,
        class_="plot",
        role="img",
        viewBox=f"0 0 {_shown(width)} {_shown(height)}",
        aria_labelledby=f"{name}-title {name}-desc",
    )


@dataclass(frozen=True, slots=True)
class Scale:
    """From values in [low, high] to places from `start` to `end`, linear or in logs."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        value, low, high = (
            (math.log(v) for v in (value, self.low, self.high))
            if self.log
            else (value, self.low, self.high)
        )
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` values from `low` to `high`: multiples of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _shown(value: Attribute) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
