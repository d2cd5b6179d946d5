"""summary.json: the result of a round, a pure function of input and seed, and what it cost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from roundsmith.errors import ConfigError

SCHEMA_VERSION = 2
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """after - control: the gain over training on the gold rows alone, for as many steps."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    difference: float
    ci95: Range
    p_value: float
    method: str


@dataclass(frozen=True, slots=True)
class PassAtK:
    """pass@k on one split. `ci95` and `p_value` are of after - before, paired by task."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    before: float
    after: float
    ci95: Range
    p_value: float
    method: str
    num_tasks: int
    num_samples: int
    before_ci95: Range
    after_ci95: Range
    control: float | None = None
    control_ci95: Range | None = None
    over_control: Difference | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """Why the checkpoint was promoted or not; `threshold` is alpha over the planned rounds."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    reasons: tuple[str, ...]
    difference: float
    ci95: Range
    p_value: float
    threshold: float
    method: str
    num_tasks: int


@dataclass(frozen=True, slots=True)
class Result:
    """The same for the same input and seed, whatever machine and however often it was resumed.

    `pass_at_k` is by split and k; `funnel` is by stage, in the round's order; `tokens` is by what
    they were for (prompt, sampled, scored, trained); `selection` is what the recipe tells of its
    choice, by name. `checkpoint` is relative to the round's folder.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    recipe: str
    preset: str
    model: str
    seed: int
    round: int
    tasks: str
    tasks_sha256: str
    weights_sha256: str
    pass_at_k: Mapping[str, Mapping[str, PassAtK]]
    funnel: Mapping[str, int]
    verdicts: Mapping[str, int]
    tokens: Mapping[str, int]
    executions: int
    promoted: bool
    selection: Mapping[str, float] = field(default_factory=dict)
    gate: Gate | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class StepCost:
    """What one step took. `cpu_s` is None where the platform does not see it, `price` where the
    run's `price` table is empty; `bytes` are those of what it made.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    seconds: float
    cpu_s: float | None
    gpu_s: float
    tokens: Mapping[str, int]
    executions: int
    bytes: int
    price: float | None = None


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What one of something took: seconds, GPU seconds and, where prices are known, the price."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    seconds: float
    gpu_s: float
    price: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What differs from run to run: wall seconds by step in the round's order, retries, machine,
    the ledger of every step, and prices in the currency of the run's `price` table.

    What was found, not made, took nothing. Of work that was stopped and gone on with, what was
    committed counts, and what was lost does not.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    seconds: Mapping[str, float]
    retries: int = 0
    machine: Mapping[str, str] = field(default_factory=dict)
    price: float | None = None
    """None where the run's `price` table is empty."""
    steps: Mapping[str, StepCost] = field(default_factory=dict)
    per_selected_row: UnitCost | None = None
    """Of sampling, scoring and selecting; None where no row was selected."""
    per_point: UnitCost | None = None
    """Of the whole round for a point (0.01) of pass@1 on `gate`; None where it did not rise."""
    estimate: UnitCost | None = None
    """What the round was expected to take when it began, by the ledger of earlier work in the same
    store; None where there was none.
    """


@dataclass(frozen=True, slots=True)
class Summary:
    """One round."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    result: Result
    cost: Cost
    schema_version: int = SCHEMA_VERSION


_ADAPTER = TypeAdapter(Summary)


def to_json(summary: Summary) -> str:
    """The text of summary.json: the same summary, the same bytes. NaN and infinity are refused."""
    fields: dict[str, Any] = _ADAPTER.dump_python(summary, mode="json")
    result = fields["result"]
    for name in ("verdicts", "tokens"):
        result[name] = dict(sorted(result[name].items()))
    result["pass_at_k"] = {
        split: dict(sorted(by_k.items(), key=lambda item: int(item[0])))
        for split, by_k in sorted(result["pass_at_k"].items())
    }
    return json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str | bytes, path: str | Path = "summary.json") -> Summary:
    """The summary of a summary.json, which `path` names; raises ConfigError for another version or
    other fields, and for what is damaged.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"{path}: saw {error}, expected JSON: run `roundsmith run` again, which writes it from "
            "the store"
        ) from error
    version = fields.get("schema_version") if isinstance(fields, dict) else None
    if version != SCHEMA_VERSION:
        raise ConfigError(
            f"{path}: saw schema_version {version!r}, expected {SCHEMA_VERSION}: read "
            "it with the version of Roundsmith that wrote it"
        )
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {place}: {first['msg']}") from invalid
