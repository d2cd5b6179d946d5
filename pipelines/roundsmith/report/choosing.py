"""Which method to use when: the page that ends a comparison of all methods."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from roundsmith.report import words
from roundsmith.report.html import HERE, environment, policy

Over = tuple[float, float, float]
"""A difference of pass@1 with the ends of its 95 % interval."""
SITUATIONS = (
    ("tests and references", True, True),
    ("tests, no references", True, False),
    ("references, no tests", False, True),
    ("neither tests nor references", False, False),
)


@dataclass(frozen=True, slots=True)
class MethodRow:
    """A method as its comparison measured it. Shares are of 1; None is what was not played."""

    recipe: str
    says: str
    needs: str
    needs_tests: bool
    needs_references: bool
    world: str
    """Model and tasks: gains in another world are no gains to compare."""
    scope: str
    pass_at_1: float
    over_base: Over | None
    over_gold: Over | None
    over_raw: Over | None
    tokens_per_point: float | None
    executions_per_point: float | None
    verdicts: Mapping[str, int]
    """Headline claims by verdict."""


@dataclass(frozen=True, slots=True)
class ChoosingPage:
    """All methods that were played."""

    methods: tuple[MethodRow, ...]

    @property
    def advice(self) -> list[str]:
        """A sentence for each thing that a user's tasks may have, in each world."""
        worlds = dict.fromkeys(row.world for row in self.methods)
        return [line for world in worlds for line in self._advice(world)]

    def _advice(self, world: str) -> Iterator[str]:
        rows = [row for row in self.methods if row.world == world]
        for words_, tests, references in SITUATIONS:
            fit = [
                row
                for row in rows
                if (tests or not row.needs_tests) and (references or not row.needs_references)
            ]
            yield f"{world}; tasks with {words_}: {_choice(fit, references)}"


def _choice(rows: Sequence[MethodRow], references: bool) -> str:
    """The method of the largest gain that is shown, and the cheapest one where that is another;
    beside `references`, whether they alone might do as well.
    """
    shown = [row for row in rows if row.over_base is not None and row.over_base[1] > 0]
    if not shown:
        return "no method that fits was shown to be better than the base model"
    best = max(shown, key=lambda row: row.over_base[0] if row.over_base else 0.0)
    assert best.over_base is not None
    text = f"{best.recipe}, {words.points(best.over_base[0])} points over the base model"
    if best.tokens_per_point is not None:
        text += f" at {best.tokens_per_point:.0f} tokens a point"
    if references and best.over_gold is not None and best.over_gold[1] <= 0:
        text += "; it was not shown to be better than training on the references alone"
    costly = [row for row in shown if row.tokens_per_point is not None]
    cheapest = min(costly, key=lambda row: row.tokens_per_point or 0.0, default=best)
    if cheapest is not best and cheapest.over_base is not None:
        text += (
            f"; cheapest a point: {cheapest.recipe}, {words.points(cheapest.over_base[0])} points "
            f"at {cheapest.tokens_per_point:.0f} tokens a point"
        )
    return text


def render(page: ChoosingPage) -> str:
    """The page; the same numbers, the same bytes."""
    style = (HERE / "report.css").read_text("utf-8")
    template = environment().get_template("choosing.html.j2")
    return template.render(page=page, style=Markup(style), policy=policy(style))
