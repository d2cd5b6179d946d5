"""Claims: what a paper says, as arms that are compared, in TOML files that fix beforehand what
counts as yes and as no.
"""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from roundsmith.config import Settings
from roundsmith.errors import ConfigError, UnknownName
from roundsmith.wrong_settings import explain

FOLDER = Path(__file__).parent
TIMES = "_times"
"""The end of a grid's setting that multiplies the preset's value."""


class Family(StrEnum):
    """Claims whose intervals are Holm's together, in the order in which they are told."""

    HEADLINE = "headline"
    TOKENS = "equal tokens"
    """Claims at equal tokens that are not headline. They were added when others had been reported,
    and as a family of their own leave those as they were.
    """
    SWEEP = "sweep"

    @property
    def note(self) -> str:
        """What tables say after the name of what is not headline."""
        return "" if self is Family.HEADLINE else f" ({self})"


class Arm(Settings):
    """One way to train, played on every seed."""

    says: str
    """In words, for the tables."""
    recipe: str = ""
    """That of the arm it is like, or the file's own, where nothing is said."""
    like: str = ""
    """An arm whose recipe and settings this one begins with, and whose tuned values it takes."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Of the recipe, over the preset's."""
    train: Literal["rows", "gold", "writer", "nothing"] = "rows"
    """On the recipe's rows, on the gold rows alone, as the recipe's writer is trained, or not."""
    steps_of: str = ""
    """An arm as many of whose optimizer steps this one is trained for; by default its epochs."""
    tokens_of: str = ""
    """An arm as many of whose sampled and scored tokens this one may use, by `scaled`."""
    scaled: str = ""
    """The setting that says how much is sampled."""
    matched: str = ""
    """Arms of the same word train on equally many distinct rows of each task."""
    rounds: int = Field(1, gt=0)
    grid: str = "sft"
    samples: int = Field(0, ge=0)
    """Samples of each task that it is judged by, for pass@1 and pass@samples; 0 is the preset's."""
    seeds: int = Field(0, ge=0)
    """Seeds that it is played on at most; 0 is all."""
    headline: bool = False
    """Played before the sweeps, and of the family of the headline claims."""

    @property
    def family(self) -> Family:
        """Of claims that name it beside a headline arm."""
        if self.headline:
            return Family.HEADLINE
        return Family.TOKENS if self.tokens_of else Family.SWEEP


class Claim(Settings):
    """`better` is above `than` in a metric. Shown where the interval of the difference is above 0,
    refuted where it is below the margin.
    """

    claim: str
    source: str
    better: str
    than: str
    metric: str = "pass@1"
    """pass@k, or a number of the summary's `selection`, in whose name {setting} is the arm's."""
    on: str = "final"
    """A split, or a split with a set; `A - B` is the gap between two."""
    lower_is_better: bool = False
    reachable: str = ""
    """An arm with `samples`: where not one of them solves a task of `on` (of a gap, of those of its
    parts that the arm is judged by), nothing can be learnt from rewards there, and the claim stays
    undecided; so it does where the arm is not played.
    """
    direction: Literal["better", "no_worse"] = "better"
    """`no_worse` is shown above -margin and refuted below it."""
    margin: float = Field(0.01, gt=0)


class Claims(Settings):
    """All that is fixed of a comparison before it is run."""

    recipe: str
    method: str
    """The arm that stands for the method."""
    needs: str
    """What the training tasks must have, in words."""
    needs_tests: bool
    needs_references: bool
    tasks: str = "lab"
    limit: int | None = Field(None, gt=0)
    """Training tasks of `tasks` at most, where arms count them; else the preset's number."""
    base: Literal["lab", "atoms"] = "lab"
    """The model that the comparison begins with where none is given."""
    seeds: int = Field(gt=1)
    tuning_seeds: int = Field(1, gt=0)
    """Seeds of their own, on which learning rate and beta are chosen by `gate`."""
    alpha: float = Field(0.05, gt=0, lt=1)
    grids: dict[str, tuple[dict[str, float], ...]]
    """All of one size; NAME_times multiplies the preset's value of NAME."""
    arms: dict[str, Arm]
    claims: tuple[Claim, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, arm in self.arms.items():
            for field in ("like", "steps_of", "tokens_of"):
                self._known(getattr(arm, field), f"arms.{name}.{field}")
            if arm.grid not in self.grids:
                raise ValueError(f"arms.{name}.grid: expected one of {sorted(self.grids)}")
            if bool(arm.tokens_of) != bool(arm.scaled):
                raise ValueError(f"arms.{name}: expected tokens_of and scaled together")
            self.chain(name)
        for at, claim in enumerate(self.claims):
            self._known(claim.better, f"claims[{at}].better")
            self._known(claim.than, f"claims[{at}].than")
            self._known(claim.reachable, f"claims[{at}].reachable")
            if claim.reachable and not self.arms[claim.reachable].samples:
                raise ValueError(f"claims[{at}].reachable: expected an arm with samples")
        self._known(self.method, "method")
        if len({len(grid) for grid in self.grids.values()}) > 1:
            raise ValueError("grids: expected all of one size, so that no arm is tuned more")
        return self

    def _known(self, arm: str, where: str) -> None:
        if arm and arm not in self.arms:
            raise ValueError(f"{where}: expected an arm, saw {arm!r}")

    def chain(self, name: str) -> list[str]:
        """The arm and those it is like, nearest first."""
        found = [name]
        while parent := self.arms[found[-1]].like:
            if parent in found:
                raise ValueError(f"arms.{name}.like: expected no circle, saw {[*found, parent]}")
            found.append(parent)
        return found

    def family(self, claim: Claim) -> Family:
        """At equal tokens where an arm is, a sweep where an arm is, else headline."""
        both = {self.arms[claim.better].family, self.arms[claim.than].family}
        order = (Family.TOKENS, Family.SWEEP, Family.HEADLINE)
        return next(family for family in order if family in both)


def names() -> list[str]:
    """The recipes whose claims are written down."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_claims(name: str) -> Claims:
    """The claims of a recipe. Raises UnknownName, or ConfigError for a bad file."""
    if name not in names():
        raise UnknownName(f"recipe {name!r}: expected all or one of {', '.join(names())}")
    return parse_claims((FOLDER / f"{name}.toml").read_text("utf-8"), name)


def parse_claims(text: str, where: str) -> Claims:
    """The claims in a TOML text."""
    try:
        return Claims.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise ConfigError(f"claims {where}: {explain(error, Claims)}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"claims {where}: expected TOML, saw: {error}") from error
