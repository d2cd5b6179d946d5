"""`roundsmith reproduce --dry-run`: the arms, and what is to be done for them."""

import asyncio
from collections import defaultdict
from collections.abc import Set
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from roundsmith.commands.planned import plan_over
from roundsmith.commands.reproduce_run import ATOMS_BASE, Wanted, lacks_base, own_carried
from roundsmith.platform.local import LocalPlatform
from roundsmith.report.words import duration
from roundsmith.reproduce.arms import pairs
from roundsmith.reproduce.choice import config_of, recipe_of
from roundsmith.reproduce.player import Player
from roundsmith.reproduce.references import trainable
from roundsmith.reproduce.steps import PlannedSteps
from roundsmith.reproduce.tuning import order, tuning_seeds
from roundsmith.steps.plan import Plan, PlannedStep
from roundsmith.steps.spent import Spent, total
from roundsmith.types import Split


def show_dry(wanted: Wanted, out: Path, console: Console) -> None:
    """Prints every arm, then the steps of all of them by kind: how many are found, and to make,
    how long those take and what they use, by earlier work in the same store.
    """
    _show_arms(wanted, console)
    if lacks_base(wanted, out):
        console.print(
            f"Its base, which sees single atoms alone, is trained into {out / ATOMS_BASE} first; "
            "which steps there are is known when it is there."
        )
        return
    first = config_of(wanted.claims, wanted.choice, wanted.claims.method, 0, {})
    platform = LocalPlatform(first, out / "work")
    with plan_over(first, str(out / "store"), platform) as plan, asyncio.Runner() as runner:

        def look(plan: Plan, step: str, split: str, of: str, refs: dict[str, str]) -> str:
            return runner.run(plan.look(step, split, of, refs))

        steps = PlannedSteps(plan, look)
        player = Player(wanted.claims, wanted.choice, steps)
        own = own_carried(wanted, out)
        known = (*wanted.carried, *([] if own is None else [own]))
        finished = {at for one in known for at in one.arms}
        tuned = {arm for one in known for arm in one.tuned}
        todo = wanted.todo(finished, tuned)
        arms = trainable(player, plan.context, wanted.arms, todo, console.print)
        if wanted.tune:
            _plan_tuning(player, arms, tuned)
        for arm, seed in pairs(arms, wanted.claims, wanted.seeds):
            if (arm, seed) not in finished:
                player.play(arm, seed, {}, Split.FINAL)
        _show_steps(plan.steps, wanted.tune, console)


def _plan_tuning(player: Player, arms: tuple[str, ...], tuned: Set[str]) -> None:
    claims = player.claims
    for arm in order(claims, arms):
        if arm in tuned:
            continue
        for row in claims.grids[claims.arms[arm].grid]:
            for seed in tuning_seeds(claims):
                player.play(arm, seed, {arm: row}, Split.GATE)


def _show_arms(wanted: Wanted, console: Console) -> None:
    title = f"arms of {wanted.claims.recipe}, preset {wanted.choice.preset}"
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False)
    for column in ("arm", "recipe", "what it is", "seeds"):
        table.add_column(column)
    for name in wanted.arms:
        arm = wanted.claims.arms[name]
        recipe = recipe_of(wanted.claims, name)
        seeds = len(pairs([name], wanted.claims, wanted.seeds))
        table.add_row(name, recipe, arm.says + arm.family.note, str(seeds))
    console.print(table)


def _show_steps(steps: list[PlannedStep], tuned: bool, console: Console) -> None:
    table = Table(title="steps of all arms", box=box.SIMPLE_HEAD, show_edge=False)
    for column in ("step", "found", "to make", "about", "sampled", "scored", "executions"):
        table.add_column(column, justify="left" if column == "step" else "right")
    by_name: dict[str, list[PlannedStep]] = defaultdict(list)
    for step in steps:
        by_name[step.label.split()[0]].append(step)
    for name, of in by_name.items():
        todo = [step for step in of if step.todo]
        spent = _together(todo)
        table.add_row(name, str(len(of) - len(todo)), str(len(todo)), *_words(spent))
    console.print(table)
    whole = _together([step for step in steps if step.todo])
    if whole is None:
        console.print(
            "How long the whole takes is not known: this store holds no such work yet to reckon "
            "by. Play one arm on one seed (--arm NAME --seeds 1), then ask again."
        )
    else:
        console.print(f"about {duration(whole.seconds)} on the machine that did it before")
    if tuned:
        console.print("Tuning comes first; which values it picks is not known here, so every arm's")
        console.print("own training counts as to make.")


def _together(steps: list[PlannedStep]) -> Spent | None:
    """What steps take; None when that of one can not be reckoned."""
    known = [step.spent for step in steps if step.spent is not None]
    return total(known) if len(known) == len(steps) else None


def _words(spent: Spent | None) -> tuple[str, str, str, str]:
    if spent is None:
        return "not known", "", "", ""
    counts = (spent.sampled_tokens, spent.scored_tokens, spent.executions)
    sampled, scored, executions = (f"{count:.0f}" if count else "" for count in counts)
    return duration(spent.seconds), sampled, scored, executions
