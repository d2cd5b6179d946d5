"""The page that `roundsmith reproduce all` ends in: which method to use when, at which cost."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from roundsmith.claims import Claim
from roundsmith.commands.reproduce_run import Compared
from roundsmith.report.choosing import ChoosingPage, MethodRow, render
from roundsmith.reproduce.judged import difference
from roundsmith.reproduce.results import UNTRAINED, costs_of

COLUMNS = ("recipe", "needs", "pass@1", "gain", "over gold", "tokens a point", "runs a point")


def write_page(done: Sequence[Compared], out: Path, console: Console) -> None:
    """Prints the methods by what they gain, and writes OUT/report.html."""
    rows = tuple(filter(None, map(method_row, done)))
    page = ChoosingPage(
        tuple(sorted(rows, key=lambda row: -(row.over_base[0] if row.over_base else 0.0)))
    )
    _show(page, console)
    partial = out / ".report.html"
    partial.write_text(render(page), "utf-8")
    partial.replace(out / "report.html")
    console.print(f"report: {out / 'report.html'}")


def method_row(compared: Compared) -> MethodRow | None:
    """What a comparison says of its method; None where it was not played."""
    claims = compared.wanted.claims
    if claims.method not in compared.done:
        return None
    costs = costs_of(claims.method, compared.done)
    over = {name: _over(claims.method, name, compared) for name in (UNTRAINED, "gold", "ssd")}
    scope = compared.scope()
    verdicts = [str(one.holds) for one in compared.judged() if one.headline]
    return MethodRow(
        recipe=claims.recipe,
        says=claims.arms[claims.method].says,
        needs=claims.needs,
        needs_tests=claims.needs_tests,
        needs_references=claims.needs_references,
        world=f"{scope.tasks} from {', '.join(scope.models)}",
        scope=scope.sentence,
        pass_at_1=costs.pass_at_1,
        over_base=over[UNTRAINED],
        over_gold=over["gold"],
        over_raw=over["ssd"],
        tokens_per_point=costs.per_point(costs.tokens),
        executions_per_point=costs.per_point(costs.executions),
        verdicts={name: verdicts.count(name) for name in ("yes", "no", "undecided")},
    )


def _over(method: str, other: str, compared: Compared) -> tuple[float, float, float] | None:
    """The difference of pass@1 on final over another arm, with its 95 % interval."""
    claim = Claim(claim="", source="", better=method, than=other)
    found = difference(claim, compared.done)
    if found is None:
        return None
    interval = found.interval()
    return found.difference, interval.low, interval.high


def _show(page: ChoosingPage, console: Console) -> None:
    table = Table(title="which method when", box=box.SIMPLE_HEAD, show_edge=False)
    for column in COLUMNS:
        table.add_column(column)
    for row in page.methods:
        table.add_row(
            row.recipe,
            row.needs,
            f"{100 * row.pass_at_1:.1f}",
            "" if row.over_base is None else f"{100 * row.over_base[0]:+.1f}",
            "" if row.over_gold is None else f"{100 * row.over_gold[0]:+.1f}",
            "no gain" if row.tokens_per_point is None else f"{row.tokens_per_point:.0f}",
            "no gain" if row.executions_per_point is None else f"{row.executions_per_point:.0f}",
        )
    console.print(table)
    for line in page.advice:
        console.print(line)
