"""The settings of a run: what a person chooses, checked before anything heavy is loaded."""

from typing import Any, Literal

from pydantic import Field, model_validator

from roundsmith.config import Settings
from roundsmith.report.tracking import TrackingConfig
from roundsmith.steps.overlap import ContaminationConfig
from roundsmith.steps.rules import BudgetConfig, KeepConfig, StopConfig
from roundsmith.steps.spent import PriceConfig
from roundsmith.types.generation import MAX_TEMPERATURE

RECIPES = "roundsmith.recipes"
"""The package of our own recipes."""


class EvaluationConfig(Settings):
    """How pass@k is measured. The default is GiFT's: one greedy sample a task."""

    samples: int = Field(1, gt=0)
    """n: samples of each task."""
    ks: tuple[int, ...] = (1,)
    """The k of pass@k; none may exceed n."""
    temperature: float = Field(0.0, ge=0, le=MAX_TEMPERATURE)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(512, gt=0)

    @model_validator(mode="after")
    def _enough_samples(self) -> "EvaluationConfig":
        if not self.ks or max(self.ks) > self.samples or min(self.ks) < 1:
            raise ValueError(
                f"ks: expected 1 to the number of samples, {self.samples}, saw "
                f"{', '.join(map(str, self.ks))}"
            )
        return self


class ServicesConfig(Settings):
    """How the services of one machine are sized."""

    engine: Literal["transformers", "vllm"] = "transformers"
    """Of the generator; on a CPU the samples of `vllm` are not repeatable bit for bit."""
    generator_slots: int = Field(32, gt=0)
    """Sequences decoded at once; part of what makes a sample repeatable."""
    executor_slots: int = Field(0, ge=0)
    """Programs run at once; 0 is one a core."""
    executor_floor: Literal["T1", "T2", "T3"] = "T2"
    """Programs are not run where isolation holds less: docs/executor.md says what T1 leaves."""
    threads: int = Field(0, ge=0)
    """Threads of the models' arithmetic; 0 is one a core, and one for sampling and scoring with a
    model under 20 M parameters. Part of what makes a run repeatable."""
    dtype: str = "auto"
    """`auto` is float32 for a small model and on a CPU without bfloat16 units, else bfloat16."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Of services and training; `auto` is `cuda` where there is one. CUDA_VISIBLE_DEVICES chooses
    among several.
    """


SIZES = ("executor_slots", "executor_floor")
"""What of it changes no result."""


class RunConfig(Settings):
    """One run of one or more rounds. What a round makes is a function of this and the inputs'
    hashes.
    """

    recipe: str
    recipe_config: dict[str, Any] = Field(default_factory=dict)
    """The recipe's own settings over its defaults, which are the paper's."""
    recipes: tuple[str, ...] = (RECIPES,)
    """Packages, folders and files that recipes are loaded from."""
    preset: str = "paper"
    """Where the settings come from; named in the summary."""
    model: str = "lab"
    """`lab`, a Hugging Face folder, or a hub id."""
    revision: str | None = None
    trust_remote_code: bool = False
    tasks: str = "lab"
    """`lab`, or a file of tasks."""
    corpus: str | None = None
    """A file of instructions with answers, whose rows are the training tasks in the place of those
    of `tasks`; for recipes that run no tests.
    """
    skip_bad_rows: bool = False
    limit: int | None = Field(None, gt=0)
    """Training tasks at most; none is all."""
    eval_limit: int | None = Field(None, gt=0)
    """Tasks of `gate` and of `final` at most, each; none is all."""
    seed: int = Field(0, ge=0, lt=2**63)
    rounds: int = Field(1, gt=0)
    alpha: float = Field(0.05, gt=0, lt=1)
    """The gate's error rate over all planned rounds."""
    keep: tuple[KeepConfig, ...] = ()
    """What a promoted checkpoint must not be worse in."""
    contamination: ContaminationConfig = ContaminationConfig()
    """Which training rows are dropped for a held-out task."""
    budget: BudgetConfig = BudgetConfig()
    stop: StopConfig = StopConfig()
    control: bool = True
    """Also train on the gold rows alone for as many steps, and judge that on `final`."""
    evaluation: EvaluationConfig = EvaluationConfig()
    services: ServicesConfig = ServicesConfig()
    tracking: TrackingConfig = TrackingConfig()
    """Trackers that hear of a round when it is over; changes nothing in it."""
    price: PriceConfig = PriceConfig()
    """For the ledger: in the report, in `cost` of summary.json and in `run --dry-run`."""
    shard_tasks: int = Field(32, gt=0)
    """Tasks that are committed together; a kill loses at most what is under way. It names the work:
    after another value, samples and all that follows are made anew."""
    tasks_in_flight: int = Field(64, gt=0)
    """Tasks that are sampled at once."""

    @model_validator(mode="after")
    def _kept_is_measured(self) -> "RunConfig":
        unknown = [kept.k for kept in self.keep if kept.k not in self.evaluation.ks]
        if unknown:
            raise ValueError(f"keep: expected k among evaluation.ks, saw {unknown}: add it there")
        if self.budget.price is not None and not self.price.known:
            raise ValueError("budget.price: expected a table price to reckon by, saw none")
        return self
