"""The page that `roundsmith reproduce all` ends in: which method to use when, at which cost."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.table import Table

from roundsmith.claims import Claim, Claims, Family
from roundsmith.commands.reproduce_run import Compared, Wanted
from roundsmith.errors import UnfitTasks
from roundsmith.report.choosing import ChoosingPage, MethodRow, render
from roundsmith.reproduce.judged import difference
from roundsmith.reproduce.results import UNTRAINED, costs_of

T = TypeVar("T")
COLUMNS = ("recipe", "needs", "pass@1", "gain", "over gold", "tokens a point", "runs a point")


def each(wanted: Sequence[Wanted], do: Callable[[Wanted], T], console: Console) -> list[T]:
    """What is done for one recipe after the other. Of several, one that can not work on
    the tasks, or none of whose arms can be trained on them, is left out, and it is told; raises
    UnfitTasks where that holds for all.
    """
    if len(wanted) == 1:
        return [do(wanted[0])]
    done: list[T] = []
    left_out: dict[str, UnfitTasks] = {}
    for one in wanted:
        try:
            done.append(do(one))
        except UnfitTasks as error:
            left_out[one.claims.recipe] = error
            console.print(f"{one.claims.recipe} is left out: {error}")
    if not done and left_out:
        raise UnfitTasks("; ".join(f"{name}: {error}" for name, error in left_out.items()))
    return done


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
    scope = compared.scope()
    verdicts = [str(one.holds) for one in compared.judged() if one.family is Family.HEADLINE]
    return MethodRow(
        recipe=claims.recipe,
        says=claims.arms[claims.method].says,
        needs=claims.needs,
        needs_tests=claims.needs_tests,
        needs_references=claims.needs_references,
        world=f"{scope.tasks} from {', '.join(scope.models)}",
        scope=scope.sentence,
        pass_at_1=costs.pass_at_1,
        over_base=_over(UNTRAINED, compared),
        over_gold=_over(references_alone(claims), compared),
        over_raw=_over("ssd", compared),
        tokens_per_point=costs.per_point(costs.tokens),
        executions_per_point=costs.per_point(costs.executions),
        verdicts={name: verdicts.count(name) for name in ("yes", "no", "undecided")},
    )


def references_alone(claims: Claims) -> str | None:
    """The arm that learns from the references alone, for as many steps as the method."""
    arms = claims.arms.items()
    return next((n for n, a in arms if a.train == "gold" and a.steps_of == claims.method), None)


def _over(other: str | None, compared: Compared) -> tuple[float, float, float] | None:
    """The method's difference of pass@1 on final over another arm, with its 95 % interval; None
    where there is no such arm, or it was not played.
    """
    if other is None:
        return None
    method = compared.wanted.claims.method
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
