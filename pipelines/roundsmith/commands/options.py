"""The options by which a person chooses a run, shared by the commands that take them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from roundsmith.steps.config import RunConfig

_INPUTS = "Inputs"

Recipe = Annotated[
    str | None,
    typer.Option(
        help="gift (the default), rft, ssd, dstc, inverse_instruct, atomic, or one of your own "
        "(--recipes)."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="`lab` (`lab-1`, `lab-2`: from other seeds), a Hugging Face folder, or a hub id.",
        rich_help_panel=_INPUTS,
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        help="`lab`, `atomic`, a file of your own (JSONL, JSON or Parquet), or that of a benchmark "
        "such as MBPP (docs/tasks.md).",
        rich_help_panel=_INPUTS,
    ),
]
Corpus = Annotated[
    str | None,
    typer.Option(
        help="Instructions with answers to train on, in the place of the training tasks, for "
        "inverse_instruct (docs/recipes.md).",
        rich_help_panel=_INPUTS,
    ),
]
Limit = Annotated[int | None, typer.Option(help="Training tasks at most.", rich_help_panel=_INPUTS)]
EvalLimit = Annotated[
    int | None,
    typer.Option(help="Tasks of gate and of final at most.", rich_help_panel=_INPUTS),
]
SkipBadRows = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows", help="Leave bad rows of tasks or corpus out.", rich_help_panel=_INPUTS
    ),
]
Revision = Annotated[
    str | None,
    typer.Option(help="Branch, tag or commit of a hub id.", rich_help_panel=_INPUTS),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Let the model's repository run code here.",
        rich_help_panel=_INPUTS,
    ),
]
ConfigFile = Annotated[Path | None, typer.Option(help="TOML file of settings.")]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="A setting of the recipe, such as iterations=3 or training.epochs=1."
    ),
]
Objective = Annotated[
    str | None,
    typer.Option(
        help="dpo or kto of dstc; sft, grpo or sft+grpo of atomic; the same as "
        "`--set training.objective=...`."
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(help="Of the generator: transformers, or vllm where it is installed."),
]
Recipes = Annotated[
    list[str] | None, typer.Option(help="Package, folder or file of recipes of your own.")
]
Rounds = Annotated[int | None, typer.Option(help="Each goes on from the promoted checkpoint.")]
Seed = Annotated[int | None, typer.Option(help="The same seed, the same result.")]
Control = Annotated[
    bool | None,
    typer.Option(help="Also train on gold rows alone for as many steps; on by default."),
]
Alpha = Annotated[
    float | None,
    typer.Option(help="The gate's error rate, over all planned rounds; 0.05 unless told."),
]

Cluster = Annotated[
    Path | None,
    typer.Option(
        help="The JSON that the chart writes into the ConfigMap RELEASE-cluster: services and "
        "training as pods, the store on the cluster's storage. Used inside of the cluster.",
    ),
]


@dataclass(frozen=True, slots=True)
class Choice:
    """A run, as far as its options say."""

    recipe: Recipe = None
    model: Model = None
    tasks: Tasks = None
    corpus: Corpus = None
    limit: Limit = None
    eval_limit: EvalLimit = None
    config: ConfigFile = None
    set_: Setting = None
    objective: Objective = None
    recipes: Recipes = None
    rounds: Rounds = None
    seed: Seed = None
    control: Control = None
    alpha: Alpha = None
    skip_bad_rows: SkipBadRows = False
    revision: Revision = None
    trust_remote_code: TrustRemoteCode = False
    engine: Engine = None

    def settings(self, preset: "str | Callable[[str], str]") -> "RunConfig":
        """The settings of the run; what no option sets is the preset's."""
        from roundsmith.presets import refuse_tables_of_others, run_config

        settings = list(self.set_ or [])
        if self.objective is not None:
            settings.append(f"training.objective={self.objective}")
        config = run_config(preset, self.config, self._given(), settings)
        if self.config is not None:
            refuse_tables_of_others(self.config, config.recipe)
        return config

    def _given(self) -> dict[str, Any]:
        """The fields of a RunConfig that the options set; a flag that was not given sets none."""
        from roundsmith.steps.config import RECIPES

        given = asdict(self)
        del given["config"], given["set_"], given["objective"]
        engine = given.pop("engine")
        given["services"] = {"engine": engine} if engine else None
        flags = ("skip_bad_rows", "trust_remote_code")
        set_flags = {name: given[name] or None for name in flags}
        recipes = (RECIPES, *self.recipes) if self.recipes else None
        return {**given, **set_flags, "recipes": recipes}
