"""Which arms are played, in which order."""

from collections.abc import Mapping, Sequence

from roundsmith.claims import Claims
from roundsmith.errors import ConfigError


def named_arms(read: Mapping[str, Claims], named: Sequence[str]) -> dict[str, list[str]]:
    """The named arms of each recipe, without the recipes that have none of them; all recipes where
    none is named. Raises ConfigError for an arm that no recipe has.
    """
    known = dict.fromkeys(arm for claims in read.values() for arm in claims.arms)
    unknown = [arm for arm in named if arm not in known]
    if unknown:
        raise ConfigError(
            f"--arm {unknown[0]}: expected one of {', '.join(known)}, saw no such arm"
        )
    found = {name: [arm for arm in named if arm in claims.arms] for name, claims in read.items()}
    return {name: arms for name, arms in found.items() if arms or not named}


def chosen_arms(claims: Claims, which: str, named: Sequence[str]) -> tuple[str, ...]:
    """The arms to be played: those that are named, else the headline ones (`headline`) or all of
    them (`all`); headline arms first.
    """
    if which not in ("headline", "all"):
        raise ConfigError(f"--arms {which!r}: expected headline or all")
    first = [name for name, arm in claims.arms.items() if arm.headline]
    rest = [name for name in claims.arms if name not in first]
    if named:
        return tuple(name for name in (*first, *rest) if name in named)
    return tuple(first if which == "headline" else (*first, *rest))


def chosen_seeds(claims: Claims, seeds: int | None, only: Sequence[int]) -> tuple[int, ...]:
    """The seeds to be played: so many, by default as many as the claims fix, or `only` some of
    those. Raises ConfigError for one that is not among them.
    """
    number = seeds or claims.seeds
    if beyond := [seed for seed in only if not 0 <= seed < number]:
        raise ConfigError(
            f"--seed: expected 0 to {number - 1}, saw {', '.join(map(str, beyond))}: a comparison "
            f"of {claims.recipe} has {number} seeds; more are asked for by --seeds"
        )
    return tuple(sorted(set(only))) or tuple(range(number))


def pairs(arms: Sequence[str], claims: Claims, seeds: Sequence[int]) -> list[tuple[str, int]]:
    """(arm, seed) in the order in which they are played: all seeds of the headline arms, then the
    sweeps; arms of a seed together, because they share its pools.
    """
    first = [name for name in arms if claims.arms[name].headline]
    rest = [name for name in arms if not claims.arms[name].headline]
    return [
        (arm, seed)
        for part in (first, rest)
        for seed in seeds
        for arm in part
        if seed < (claims.arms[arm].seeds or seed + 1)
    ]
