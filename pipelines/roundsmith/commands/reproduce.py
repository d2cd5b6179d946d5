"""`roundsmith reproduce`: a paper's claims as arms over seeds, each with a verdict."""

from pathlib import Path
from typing import Annotated

import typer

from roundsmith.commands.output import out_option

EPILOG = """Examples:

roundsmith reproduce dstc --seeds 3 --limit 40 --eval-limit 100 --dry-run

roundsmith reproduce gift --arms headline

roundsmith reproduce gift --arm gift --arm rft --seeds 5 --json gift.json

roundsmith reproduce gift --seeds 12 --finished runs/reproduce --out runs/more

roundsmith reproduce gift --seed 5 --seed 6 --finished runs/reproduce --out runs/machine-2

roundsmith reproduce all

An arm is one way to train (GiFT, RFT, gold rows alone, ...). Every arm is played on every seed:
arms of a seed share one sampled pool where they may, train for as many optimizer steps, and their
last checkpoint is judged on the split final. What counts as yes and as no is fixed beforehand in
the claims file of the recipe; docs/reproduce.md explains it. Stop it at any moment: the same
command goes on, and every finished (arm, seed) is found; --finished takes those of another machine
over."""

_OTHER_PRESET = (
    "{name} is played by the preset {its}, because it has a base of its own: --preset {named} is "
    "for that of --base"
)


def reproduce(
    recipe: Annotated[
        str, typer.Argument(help="gift, dstc, inverse_instruct, atomic, or all of them.")
    ],
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Seeds of each arm; by default those of the claims file."),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            "--seed",
            help="Only this one of them; may be repeated. So machines share the work, and "
            "--finished brings together what each has played.",
        ),
    ] = None,
    arms: Annotated[
        str, typer.Option(help="headline, or all: the sweeps after the headline arms.")
    ] = "all",
    arm: Annotated[
        list[str] | None, typer.Option("--arm", help="Only these arms; may be repeated.")
    ] = None,
    base: Annotated[
        list[str] | None,
        typer.Option(
            "--base",
            "--model",
            help="`lab`, `lab-1`, `lab-2`, a Hugging Face folder, or a hub id; given several "
            "times, seeds take turns at them; by default at the three of the lab, and of atomic at "
            "one of its own.",
        ),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(help="`lab`, or a file of tasks, as in `roundsmith run`.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Training tasks at most.")] = None,
    eval_limit: Annotated[
        int | None, typer.Option(help="Tasks of gate and of final at most.")
    ] = None,
    tune: Annotated[
        bool,
        typer.Option(
            help="Choose learning rate and beta of every arm by `gate`; else the preset's stand."
        ),
    ] = True,
    preset: Annotated[
        str | None,
        typer.Option(
            help="lab, laptop or paper; by default what --config names, else that of the base "
            "models."
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings of all arms.")] = None,
    engine: Annotated[str | None, typer.Option(help="Of the generator.")] = None,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code")] = False,
    finished: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with RECIPE/finished.jsonl.gz, as another machine's --out has it: what "
            "it has of this comparison is taken over, and only the rest is played. May be repeated."
        ),
    ] = None,
    other_code: Annotated[
        bool,
        typer.Option(
            "--other-code", help="Take it over though another version of the code played it."
        ),
    ] = False,
    out: Annotated[Path, out_option("Folder of the comparison. Run again in it to go on.")] = Path(
        "runs/reproduce"
    ),
    json_: Annotated[Path | None, typer.Option("--json", help="Also write the numbers.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only list the arms, and what is to be done for them."),
    ] = False,
) -> None:
    """Compare the arms of a recipe's claims over seeds, and say of each claim yes, no or undecided.

    OUT/RECIPE holds results.json and report.html; `all` ends in one page on which method to use
    when, OUT/report.html.
    """
    from roundsmith import claims
    from roundsmith.commands.interrupt import resumable
    from roundsmith.commands.progress import error_console, output_console
    from roundsmith.commands.reproduce_all import each, write_page
    from roundsmith.commands.reproduce_dry import show_dry
    from roundsmith.commands.reproduce_run import Wanted, compare_arms, own_bases, preset_of
    from roundsmith.errors import ConfigError
    from roundsmith.presets import preset_in
    from roundsmith.reproduce.arms import chosen_arms, chosen_seeds, named_arms
    from roundsmith.reproduce.carried import carried_in
    from roundsmith.reproduce.choice import Choice
    from roundsmith.storage import make_output_folder

    if json_ is not None and recipe == "all":
        raise ConfigError("--json: expected one recipe, saw all: each has OUT/RECIPE/results.json")
    console, printed = error_console(), output_console()
    preset = preset or (preset_in(config) if config else None)
    wanted = []
    names = claims.names() if recipe == "all" else [recipe]
    read = {name: claims.read_claims(name) for name in names}
    for name, own in named_arms(read, arm or ()).items():
        fixed, models, named = read[name], base, preset
        if recipe == "all" and fixed.base != "lab":
            if tasks is not None:
                console.print(f"{name} is left out: it has tasks of its own, saw --tasks {tasks}")
                continue
            models = None  # the base that the others begin with has seen too much
            named = None if base else preset  # and what is named for it does not fit a small one
        bases = tuple(models or own_bases(fixed, out))
        choice = Choice(
            preset=named or preset_of(bases, out),
            models=bases,
            tasks=tasks or fixed.tasks,
            limit=limit or (None if tasks else fixed.limit),
            eval_limit=eval_limit,
            config=config,
            engine=engine,
            trust_remote_code=trust_remote_code,
        )
        if choice.preset != (preset or choice.preset):
            console.print(_OTHER_PRESET.format(name=name, its=choice.preset, named=preset))
        played = chosen_arms(fixed, arms, own)
        carried = carried_in(finished or (), name, alone=recipe != "all")
        size = (played, chosen_seeds(fixed, seeds, seed or ()), tune)
        wanted.append(Wanted(fixed, choice, *size, carried, other_code))
    with resumable():
        if dry_run:
            each(wanted, lambda one: show_dry(one, out, printed), printed)
            return
        make_output_folder(out)
        done = each(wanted, lambda one: compare_arms(one, out, console, printed, json_), console)
        if recipe == "all":
            write_page(done, out, printed)
