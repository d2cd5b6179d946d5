"""The tables of a comparison, in a terminal."""

import math
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from roundsmith.claims import Claims
from roundsmith.reproduce.choice import Tuned
from roundsmith.reproduce.judged import FEWEST_BASES, BySeed, Judged
from roundsmith.reproduce.results import costs_of
from roundsmith.statistics import Interval, p_words


def show_arms(done: BySeed, claims: Claims, console: Console) -> None:
    """Every arm over its seeds: what it reaches, what it trained on, what it spent."""
    table = _table("pass@1 on final, means over seeds (tokens are sampled and scored)", "arm")
    for column in ("seeds", "pass@1", "± sd", "rows", "steps", "tokens", "runs"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("tokens a point", justify="right")
    for arm, by_seed in done.items():
        costs = costs_of(arm, done)
        table.add_row(
            arm,
            str(len(by_seed)),
            f"{100 * costs.pass_at_1:.1f}",
            "" if costs.spread is None else f"{100 * costs.spread:.1f}",
            f"{costs.rows:.0f}",
            f"{costs.steps:.0f}",
            f"{costs.tokens:.0f}",
            f"{costs.executions:.0f}",
            _whole(costs.per_point(costs.tokens)) if costs.gain is not None else "",
        )
    console.print(table)
    for arm in done:
        console.print(f"  {arm}: {claims.arms[arm].says}")


def show_claims(judged: Sequence[Judged], console: Console) -> None:
    """Every claim with its difference, Holm's interval, and the verdict."""
    if not judged:
        console.print("no claim has both of its arms")
        return
    table = _table("claims: points of difference, Holm's intervals over seeds and tasks", "claim")
    for column in ("points", "interval", "other bases", "p", "detects", "holds"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in judged:
        assert one.found is not None
        table.add_row(
            one.claim.claim + f"[dim]{one.family.note}[/]",
            f"{100 * one.found.difference:+.1f}",
            interval_words(one.interval),
            "" if one.other_bases is None else interval_words(one.other_bases),
            p_words(one.p_value),
            "" if one.detects is None else f"{100 * one.detects:.1f}",
            str(one.holds),
        )
    console.print(table)
    for one in judged:
        if one.because:
            console.print(f"undecided: {one.claim.claim}: {one.because}")
    console.print(
        "yes: the interval is above 0 (of `no worse`: above minus the margin); no: it is below the "
        "margin, as fixed in the claims file; detects: the difference found four times in five"
    )
    console.print(
        "the interval, and so the verdict, is for other seeds of these base models and other "
        f"tasks; other bases: 95 %, with the base as the unit, from {FEWEST_BASES} bases on"
    )


def interval_words(interval: Interval) -> str:
    """In points; `none` where nothing is known."""
    if math.isinf(interval.low):
        return "none"
    return f"[{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def said(values: Tuned) -> str:
    """A row of a grid in words."""
    return ", ".join(f"{name} {value:g}" for name, value in _plain(values).items())


def _plain(values: Mapping[str, float]) -> dict[str, float]:
    return {name.replace("_times", " times"): value for name, value in values.items()}


def _whole(value: float | None) -> str:
    return "no gain" if value is None else f"{value:.0f}"


def _table(title: str, first: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first)
    return table
