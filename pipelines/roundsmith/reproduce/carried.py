"""Finished arms as one small file, so that a comparison goes on on another machine.

OUT/RECIPE/finished.jsonl.gz says in its first line what its arms are of, and in each other line
what an arm on a seed counted, measured and spent: all that claims, tables and pages read. Samples
and checkpoints are not in it: an arm that is added to a seed later draws that seed's pools again.
"""

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from roundsmith.claims import Claims
from roundsmith.config import Settings
from roundsmith.errors import ConfigError
from roundsmith.reproduce.choice import FIRST_TUNING_SEED, Choice, Tuned
from roundsmith.reproduce.finished import Finished
from roundsmith.reproduce.origin import Origin, differences
from roundsmith.statistics import Evaluation, TaskCount
from roundsmith.wrong_settings import explain

FILE = "finished.jsonl.gz"
LARGEST = 2**28
"""Bytes of text at most: a packed file may unfold into any number."""


class _Header(Settings):
    schema_version: Literal[1, 2]
    """Of 1 the origin does not tell its arms apart."""
    origin: Origin
    tuned: dict[str, dict[str, float]]
    """The row of its grid by arm."""
    task_ids: tuple[tuple[str, ...], ...]


class _Part(Settings):
    tasks: int = Field(ge=0)
    """Which of the header's `task_ids`."""
    samples: int = Field(ge=1)
    correct: tuple[int, ...]
    """Of the samples of each task."""


class _Line(Settings):
    arm: str
    seed: int = Field(ge=0, lt=FIRST_TUNING_SEED)
    code: str
    tuned: dict[str, float]
    parts: dict[str, _Part]
    ks: tuple[int, ...]
    settings: dict[str, Any]
    measured: dict[str, float]
    rows: int
    steps: int
    tokens: int
    executions: int
    sampling_s: float
    training_s: float


SPENT = ("rows", "steps", "tokens", "executions", "sampling_s", "training_s")


@dataclass(frozen=True, slots=True)
class Carried:
    """What a file holds."""

    path: Path
    origin: Origin
    tuned: Mapping[str, Tuned]
    arms: Mapping[tuple[str, int], Finished]


def packed(origin: Origin, tuned: Mapping[str, Tuned], done: Iterable[Finished]) -> bytes:
    """The file's bytes, the same for the same arms."""
    places: dict[tuple[str, ...], int] = {}
    lines = [_line(one, places) for one in done]
    header = _Header(
        schema_version=2,
        origin=origin,
        tuned={arm: dict(values) for arm, values in tuned.items()},
        task_ids=tuple(places),
    )
    text = "".join(f"{_json(line)}\n" for line in (header, *lines))
    return gzip.compress(text.encode(), mtime=0)


def read_carried(path: Path) -> Carried:
    """What a file holds, every field checked. Raises ConfigError for one of another form."""
    try:
        with gzip.open(BytesIO(path.read_bytes())) as stream:
            text = stream.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ConfigError(f"{path}: expected at most {LARGEST} bytes unpacked, saw more")
        first, *rest = text.splitlines()
        header = _Header.model_validate_json(first)
        lines = [_Line.model_validate_json(line) for line in rest]
        arms = {(line.arm, line.seed): _finished(line, header) for line in lines}
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, None)}") from error
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise ConfigError(
            f"{path}: expected OUT/RECIPE/{FILE} as `roundsmith reproduce` wrote it, saw: {error}"
        ) from error
    return Carried(path, header.origin, header.tuned, arms)


def carried_of(folder: Path, recipe: str, *, alone: bool) -> Carried | None:
    """What a folder holds of a recipe; nothing where there is no file of it, unless `alone`, which
    says that it is the one that is asked for.
    """
    path = folder / recipe / FILE
    if not path.exists() and not alone:
        return None
    return read_carried(path)


def carried_in(folders: Iterable[Path], recipe: str, *, alone: bool) -> tuple[Carried, ...]:
    """What several folders hold of a recipe, as `carried_of` reads each."""
    found = (carried_of(folder, recipe, alone=alone) for folder in folders)
    return tuple(one for one in found if one is not None)


def fitting(
    carried: Carried, origin: Origin, claims: Claims, choice: Choice, code: str | None
) -> dict[tuple[str, int], Finished]:
    """The arms of a file that belongs to a comparison of this origin, on the models as they are
    called here. `code` is the only version whose arms are taken, None that of any. Raises
    ConfigError that says what is of another origin.
    """
    arms = {*carried.tuned, *(arm for arm, _ in carried.arms)}
    for what, seen, expected in differences(carried.origin, origin, sorted(arms)):
        raise ConfigError(
            f"{carried.path}: these arms are of other {what}: saw {seen}, expected {expected}: "
            "give the claims, settings, base models and tasks that they were played with"
        )
    for (arm, seed), one in carried.arms.items():
        if arm not in claims.arms:
            raise ConfigError(f"{carried.path}: expected arms of {claims.recipe}, saw {arm}")
        root = claims.chain(arm)[-1]
        if one.tuned != carried.tuned.get(root, {}):
            raise ConfigError(
                f"{carried.path}: {arm}, seed {seed}: expected the values tuned for {root}, "
                f"{dict(carried.tuned.get(root, {}))}, saw {dict(one.tuned)}"
            )
        if code not in (None, one.code):
            raise ConfigError(
                f"{carried.path}: {arm}, seed {seed}: saw the code {one.code}, expected {code}: "
                "go on with that code, or give --other-code where no change in between has an "
                "effect on results"
            )
    return {at: replace(one, model=choice.model_of(at[1])) for at, one in carried.arms.items()}


def known_of(
    files: Iterable[Carried], origin: Origin, claims: Claims, choice: Choice, code: str | None
) -> tuple[dict[str, Tuned], dict[tuple[str, int], Finished]]:
    """The tuned values and the arms of files that all are `fitting`; an arm on a seed that several
    have is the last one's. Raises ConfigError where they were tuned to different values.
    """
    tuned: dict[str, Tuned] = {}
    arms: dict[tuple[str, int], Finished] = {}
    for one in files:
        arms |= fitting(one, origin, claims, choice, code)
        for arm, values in one.tuned.items():
            if tuned.setdefault(arm, values) != values:
                raise ConfigError(
                    f"{one.path}: {arm}: saw it tuned to {dict(values)}, expected "
                    f"{dict(tuned[arm])}, as the arms of --finished are: all seeds of an arm are "
                    "trained with the same values"
                )
    return tuned, arms


def _line(one: Finished, places: dict[tuple[str, ...], int]) -> _Line:
    parts = {}
    for name, of in one.parts.items():
        ids = tuple(count.task_id for count in of.counts)
        assert all(count.num_samples == of.num_samples for count in of.counts), name
        correct = tuple(count.num_correct for count in of.counts)
        place = places.setdefault(ids, len(places))
        parts[name] = _Part(tasks=place, samples=of.num_samples, correct=correct)
    return _Line(
        arm=one.arm,
        seed=one.seed,
        code=one.code,
        tuned=dict(one.tuned),
        parts=parts,
        ks=one.ks,
        settings=dict(one.settings),
        measured=dict(one.measured),
        **{name: getattr(one, name) for name in SPENT},
    )


def _finished(line: _Line, header: _Header) -> Finished:
    parts = {}
    for name, part in line.parts.items():
        ids = header.task_ids[part.tasks]
        if len(ids) != len(part.correct) or not all(0 <= n <= part.samples for n in part.correct):
            raise ValueError(
                f"{line.arm}, seed {line.seed}: {name}: expected of each of {len(ids)} tasks how "
                f"many of {part.samples} samples are right"
            )
        both = zip(ids, part.correct, strict=True)
        counts = tuple(TaskCount(task_id, part.samples, right) for task_id, right in both)
        parts[name] = Evaluation(counts, part.samples)
    return Finished(
        arm=line.arm,
        seed=line.seed,
        model="",
        parts=parts,
        ks=line.ks,
        settings=line.settings,
        code=line.code,
        tuned=line.tuned,
        measured=line.measured,
        **{name: getattr(line, name) for name in SPENT},
    )


def _json(line: Settings) -> str:
    return json.dumps(line.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
