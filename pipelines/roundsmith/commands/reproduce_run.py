"""A comparison of one recipe's arms, played to its end and written down."""

import asyncio
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from roundsmith.claims import Claims
from roundsmith.commands.progress import ProgressView
from roundsmith.commands.reproduce_show import said, show_arms, show_claims
from roundsmith.commands.run import default_preset, mended, only_run
from roundsmith.errors import ConfigError
from roundsmith.platform.local import LocalPlatform
from roundsmith.report.comparison import render
from roundsmith.reproduce.arms import pairs
from roundsmith.reproduce.carried import FILE, Carried, carried_of, known_of, packed
from roundsmith.reproduce.choice import Choice, Tuned, config_of
from roundsmith.reproduce.finished import Finished, finished
from roundsmith.reproduce.judged import Judged, judge
from roundsmith.reproduce.origin import Origin, origin_of
from roundsmith.reproduce.player import Player
from roundsmith.reproduce.references import trainable
from roundsmith.reproduce.results import Scope, page_of, scope_of, to_json
from roundsmith.reproduce.steps import DoneSteps
from roundsmith.reproduce.tuning import tune, tuning_seeds
from roundsmith.steps import run_step
from roundsmith.steps.code_version import code_version
from roundsmith.steps.context import Context
from roundsmith.steps.evaluate import evaluation_of
from roundsmith.storage import make_output_folder
from roundsmith.store import Store
from roundsmith.store.root import sync
from roundsmith.types import Split

ATOMS_BASE = "atoms-base"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a recipe's claims is to be compared, and at which size."""

    claims: Claims
    choice: Choice
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    tune: bool
    carried: tuple[Carried, ...] = ()
    """What other machines finished of it."""
    other_code: bool = False
    """Whether that may have been done by another version of the code."""

    def todo(
        self, known: Container[tuple[str, int]], tuned: Container[str]
    ) -> list[tuple[str, int]]:
        """The arms on seeds that are to be played and tuned yet."""
        played = pairs(self.arms, self.claims, self.seeds)
        untuned = [arm for arm in self.arms if self.tune and arm not in tuned]
        return [
            *(at for at in played if at not in known),
            *((arm, seed) for arm in untuned for seed in tuning_seeds(self.claims)),
        ]


@dataclass(slots=True)
class Compared:
    """What a comparison has so far."""

    wanted: Wanted
    origin: Origin
    tuned: Mapping[str, Tuned] = field(default_factory=dict)
    known: Mapping[tuple[str, int], Finished] = field(default_factory=dict)
    """What was finished before, of arms and seeds that are not asked for too."""
    done: dict[str, dict[int, Finished]] = field(default_factory=dict)

    def judged(self) -> list[Judged]:
        """The claims, by what is there."""
        return judge(self.wanted.claims, self.done)

    def scope(self) -> Scope:
        """What its results hold for."""
        wanted = self.wanted
        return scope_of(wanted.claims, wanted.choice, wanted.tune, self.done)


def compare_arms(
    wanted: Wanted, out: Path, console: Console, printed: Console, json_: Path | None
) -> Compared:
    """Plays every arm on every seed, headline arms first, tells each as it is finished, and prints
    the tables. OUT/RECIPE/results.json, report.html and finished.jsonl.gz are written anew after
    each.
    """
    with only_run(out):
        _train_base(wanted, out, console)
        found = _played(wanted, out, console)
    if json_ is not None:
        make_output_folder(json_.parent, "--json")
        json_.write_text(_json(found))
    printed.print(f"\n[bold]{wanted.claims.recipe}[/]: {found.scope().sentence}")
    show_arms(found.done, wanted.claims, printed)
    show_claims(found.judged(), printed)
    printed.print(f"report: {out / wanted.claims.recipe / 'report.html'}")
    return found


def _played(wanted: Wanted, out: Path, console: Console) -> Compared:
    """Plays it on this machine, in a folder that is held."""
    with asyncio.Runner() as runner, ProgressView(console) as view:
        own = own_carried(wanted, out)
        first = config_of(wanted.claims, wanted.choice, wanted.claims.method, 0, {})
        platform = LocalPlatform(first, (out / "work").resolve())
        context = Context(Store(str(out / "store")), first, 1, platform, view)

        def run(context: Context, step: str, refs: dict[str, str]) -> str:
            return runner.run(platform.watched(run_step(context, step, **refs)))

        try:
            return mended(
                context.store,
                lambda: _compare(wanted, own, DoneSteps(context, run), out, view, console),
            )
        finally:
            runner.run(platform.close())


def _compare(
    wanted: Wanted,
    own: Carried | None,
    steps: DoneSteps,
    out: Path,
    view: ProgressView,
    console: Console,
) -> Compared:
    claims, player = wanted.claims, Player(wanted.claims, wanted.choice, steps)
    found = Compared(wanted, _origin(wanted, player, steps))
    found.tuned, found.known = _known(wanted, own, found.origin)
    todo = wanted.todo(found.known, found.tuned)
    arms = trainable(player, steps.context(player.common(0)), wanted.arms, todo, console.print)
    if wanted.tune:
        found.tuned = tune(player, arms, lambda ref: _pass_at_1(steps, player, ref), found.tuned)
        for arm, values in found.tuned.items():
            console.print(f"tuned on gate: {arm}: {said(values)}")
    for arm, seed in pairs(arms, claims, wanted.seeds):
        view.forget()
        one = found.known.get((arm, seed))
        word = "taken over, " if one else ""
        one = one or _finish(arm, seed, found.tuned, player, steps)
        found.done.setdefault(arm, {})[seed] = one
        console.print(
            f"{arm}, seed {seed}: {word}final pass@1 {100 * one.metric('pass@1', 'final'):.1f} %, "
            f"{one.steps} steps on {one.rows} rows, {one.tokens} tokens"
        )
        _write(found, out / claims.recipe)
    return found


def _known(
    wanted: Wanted, own: Carried | None, origin: Origin
) -> tuple[Mapping[str, Tuned], Mapping[tuple[str, int], Finished]]:
    """What was finished of a comparison, with its tuned values: elsewhere, and in its own folder.
    Raises ConfigError for a file there that is of something else, and would be written over.
    """
    code = None if wanted.other_code else code_version()
    given = (origin, wanted.claims, wanted.choice, code)
    found = known_of(wanted.carried, *given)
    if own is None:
        return found
    try:
        return known_of([*wanted.carried, own], *given)
    except ConfigError as error:
        raise ConfigError(
            f"{error}; or give another --out, or move {own.path} away, which would be written over"
        ) from error


def own_carried(wanted: Wanted, out: Path) -> Carried | None:
    """What is finished of a comparison in its own folder, where it goes on."""
    return carried_of(out, wanted.claims.recipe, alone=False)


def _origin(wanted: Wanted, player: Player, steps: DoneSteps) -> Origin:
    """What the arms of this comparison are of; loads every base model and the tasks."""
    common = player.common(0)
    models = [steps.manifest(player.model(at)) for at in range(len(wanted.choice.models))]
    tasks = steps.manifest(steps.do(common, 1, "load_tasks", "", ""))
    return origin_of(
        wanted.claims,
        wanted.choice,
        wanted.tune,
        [model.stats["weights_sha256"] for model in models],
        tasks.config["source"],
        steps.context(common).platform.arithmetic,
    )


def _finish(
    arm: str, seed: int, tuned: Mapping[str, Tuned], player: Player, steps: DoneSteps
) -> Finished:
    played = player.play(arm, seed, tuned, Split.FINAL)
    values = tuned.get(player.claims.chain(arm)[-1], {})
    config = config_of(player.claims, player.choice, arm, seed, values)
    return finished(steps.context(config), arm, played, values)


def _pass_at_1(steps: DoneSteps, player: Player, ref: str) -> float:
    context = steps.context(config_of(player.claims, player.choice, player.claims.method, 0, {}))
    return evaluation_of(context, steps.manifest(ref)).mean(1)


def _write(found: Compared, folder: Path) -> None:
    make_output_folder(folder)
    page = page_of(found.wanted.claims, found.scope(), found.done, found.judged())
    done = {(arm, seed): one for arm, of in found.done.items() for seed, one in of.items()}
    for name, content in (
        ("results.json", _json(found).encode()),
        ("report.html", render(page).encode()),
        (FILE, packed(found.origin, found.tuned, {**found.known, **done}.values())),
    ):
        partial = folder / f".{name}"
        partial.write_bytes(content)
        sync(partial)
        partial.replace(folder / name)


def _json(found: Compared) -> str:
    fields = to_json(found.scope(), found.tuned, found.done, found.judged())
    return json.dumps(fields, indent=2, allow_nan=False) + "\n"


def own_bases(claims: Claims, out: Path) -> list[str]:
    """The models that seeds take turns at where none is given."""
    from roundsmith.lab import MODELS

    return list(MODELS) if claims.base == "lab" else [str(out / ATOMS_BASE)]


def preset_of(models: Sequence[str], out: Path) -> str:
    """The preset that all of these models have where none is named. Raises ConfigError where they
    have not the same.
    """
    trained_here = str(out / ATOMS_BASE)
    presets = {one: "lab" if one == trained_here else default_preset(one) for one in models}
    if len(set(presets.values())) > 1:
        seen = ", ".join(f"{preset} for {model}" for model, preset in presets.items())
        raise ConfigError(
            "--base: expected models that have one preset, because all seeds are played with the "
            f"same settings, saw {seen}: name one by --preset"
        )
    return presets[models[0]]


def lacks_base(wanted: Wanted, out: Path) -> bool:
    """Whether the base that sees single atoms alone is asked for, and has yet to be trained."""
    from roundsmith.lab.bases import MANIFEST

    folder = out / ATOMS_BASE
    return str(folder) in wanted.choice.models and not (folder / MANIFEST).exists()


def _train_base(wanted: Wanted, out: Path, console: Console) -> None:
    """Trains the base that sees single atoms alone, where it is asked for and not there."""
    if not lacks_base(wanted, out):
        return
    from roundsmith.commands.lab import train

    console.print("training the base that sees single atoms alone")
    train(out / ATOMS_BASE, 0, None, console, atoms_only=True)
