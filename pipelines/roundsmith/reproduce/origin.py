"""What a finished arm depends on beside its own name, its seed and the code, by hash."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from roundsmith.claims import Claims
from roundsmith.config import Settings
from roundsmith.hashing import content_hash
from roundsmith.reproduce.choice import Choice, config_of

FREE = {"model", "tasks", "revision", "trust_remote_code", "seed", "tracking", "price"}
"""Settings of a run that change no result, or are told by hashes of their own."""
TOLD = {"says", "headline", "seeds"}
"""What a row of the claims file says of an arm that changes nothing about how it is played."""
ARITHMETIC = ("engine", "dtype", "device")
WHOLE = ("claims", "settings")
"""What counts where a file does not tell its arms apart."""


class Origin(Settings):
    """What the arms of a comparison are of."""

    recipe: str
    claims: str
    """The hash of the claims file."""
    settings: str
    """The hash of the settings of all arms, machine apart."""
    arms: dict[str, str] = Field(default_factory=dict)
    """By arm the hash of its part of both: its row, its settings and its grid, and those of every
    arm that it leans on. So what is finished stays when other arms and claims are added.
    """
    models: tuple[str, ...]
    """Weight versions of the base models, in the order in which seeds take turns at them."""
    tasks: str
    """The hash of the tasks' file."""
    arithmetic: tuple[str, ...]
    """Engine, type and device; a number of threads does not count."""
    tuned: bool


def origin_of(
    claims: Claims,
    choice: Choice,
    tuned: bool,
    models: Sequence[str],
    tasks: str,
    arithmetic: Mapping[str, str | int],
) -> Origin:
    """The origin of what a comparison plays; `models` and `tasks` are hashes."""
    told = {
        name: config_of(claims, choice, name, 0, {}).model_dump(
            mode="json", exclude={*FREE, "services"}
        )
        for name in claims.arms
    }
    rows = {
        name: [
            told[name],
            arm.model_dump(mode="json", exclude=TOLD, exclude_defaults=True),
            claims.grids[arm.grid],
        ]
        for name, arm in claims.arms.items()
    }
    common = [claims.recipe, claims.tuning_seeds, told[claims.method]]
    return Origin(
        recipe=claims.recipe,
        claims=content_hash(claims.model_dump(mode="json")),
        settings=content_hash(told),
        arms={
            arm: content_hash([*common, {name: rows[name] for name in leans_on(claims, arm)}])
            for arm in claims.arms
        },
        models=tuple(models),
        tasks=tasks,
        arithmetic=tuple(str(arithmetic[name]) for name in ARITHMETIC),
        tuned=tuned,
    )


def leans_on(claims: Claims, arm: str) -> set[str]:
    """The arms by whose rows and settings an arm is played: itself, those that it is like, whose
    steps or tokens it takes, or whose rows it is matched with, and those that these lean on.
    """
    found: set[str] = set()
    todo = [arm]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        one = claims.arms[name]
        todo += [other for other in (one.like, one.steps_of, one.tokens_of) if other]
        todo += [o for o, of in claims.arms.items() if one.matched and of.matched == one.matched]
    return found


def differences(
    seen: Origin, expected: Origin, arms: Sequence[str]
) -> Iterator[tuple[str, object, object]]:
    """What differs of two origins as far as these arms go, in words, with both sides."""
    apart = bool(seen.arms)
    for name in Origin.model_fields:
        sides = getattr(seen, name), getattr(expected, name)
        if name != "arms" and not (apart and name in WHOLE) and sides[0] != sides[1]:
            yield name, *sides
    for arm in arms if apart else ():
        sides = seen.arms.get(arm, "none told"), expected.arms.get(arm, "no such arm")
        if sides[0] != sides[1]:
            yield f"claims or settings ({arm})", *sides
