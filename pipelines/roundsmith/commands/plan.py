"""`roundsmith run --dry-run`: what a run would do in its folder, and roughly how long."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from roundsmith.commands.planned import planned
from roundsmith.commands.run import check
from roundsmith.platform.cluster import ClusterPlatform, on_cluster
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.local import LocalPlatform
from roundsmith.report.words import duration
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Platform
from roundsmith.steps.plan import PlannedStep, a_selected_row, remaining
from roundsmith.steps.spent import Spent


def plan_run(config: RunConfig, out: Path, cluster: Path | None, console: Console) -> None:
    """Prints what a run in a folder, or on a cluster, would do; nothing is started, and the folder
    and the store are left as they are. Raises ConfigError when the settings are wrong.
    """
    recipe = check(config)
    if cluster is None:
        local = LocalPlatform(config, out / "work")
        show_plan(config, str(out / "store"), local, str(out), console)
        return
    where = ClusterConfig.read(cluster)
    config = on_cluster(config, where, recipe.stages())
    run = where.run(out.resolve().name)
    show_plan(config, where.store, ClusterPlatform(where), run, console)


def show_plan(
    config: RunConfig, store: str, platform: Platform, run: str, console: Console
) -> None:
    """Prints every step with whether it is found, why it is not, and how long it takes."""
    last: list[str] = []
    steps = planned(config, store, platform, run, last.append)
    table = Table(title=f"what a run with {store} would do", box=box.SIMPLE_HEAD, show_edge=False)
    priced = any(step.spent and step.spent.price(config.price) for step in steps)
    for column in ("round", "step", "state", "why", "about", *(["price"] if priced else [])):
        left = column in ("step", "state", "why")
        table.add_column(column, justify="left" if left else "right", no_wrap=column != "why")
    for step in steps:
        words = (step.label, _state(step), step.why, *_words(step.spent, config, priced))
        table.add_row(str(step.round), *words)
    console.print(table)
    for line in last:
        console.print(line)
    found = sum(not step.todo for step in steps)
    console.print(f"found ({found}): earlier work in the store, which is used as it is")
    console.print(
        f"to make ({len(steps) - found}): what the run would do, for the reason beside it"
    )
    whole = [remaining(steps, number) for number in range(1, config.rounds + 1)]
    known = [spent for spent in whole if spent is not None]
    if len(known) < len(whole):
        console.print(
            "How long the whole takes is not known: no such work is in this store yet to reckon by."
        )
    else:
        added = sum(known, Spent())
        price = added.price(config.price)
        costs = "" if price is None else f", about {price:.2f} in your currency"
        console.print(f"about {duration(added.seconds)} on the machine that did it before{costs}")
    rows = (a_selected_row(steps, number) for number in range(1, config.rounds + 1))
    if one := next((spent for spent in rows if spent is not None), None):
        price = one.price(config.price)
        costs = "" if price is None else f", price {price:.4f}"
        console.print(f"a selected row: {duration(one.seconds)}{costs} at the least")


def _state(step: PlannedStep) -> str:
    if not step.todo:
        return "found"
    return "to make" if step.todo == 1 else f"{100 * step.todo:.0f} % to make"


def _words(spent: Spent | None, config: RunConfig, priced: bool) -> list[str]:
    if spent is None:
        return ["not known"]
    price = spent.price(config.price)
    costs = [f"{price:.2f}" if price else ""] if priced else []
    return [duration(spent.seconds) if spent.seconds else "", *costs]
