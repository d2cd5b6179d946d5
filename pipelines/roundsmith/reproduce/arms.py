"""Which arms are played, in which order."""

from collections.abc import Sequence

from roundsmith.claims import Claims
from roundsmith.errors import ConfigError


def chosen_arms(claims: Claims, which: str, named: Sequence[str]) -> tuple[str, ...]:
    """The arms to be played: those that are named, else the headline ones (`headline`) or all of
    them (`all`); headline arms first. Raises ConfigError for an unknown one.
    """
    unknown = [name for name in named if name not in claims.arms]
    if unknown:
        raise ConfigError(
            f"--arm {unknown[0]}: expected one of {', '.join(claims.arms)}, saw no such arm"
        )
    if which not in ("headline", "all"):
        raise ConfigError(f"--arms {which!r}: expected headline or all")
    first = [name for name, arm in claims.arms.items() if arm.headline]
    rest = [name for name in claims.arms if name not in first]
    if named:
        return tuple(name for name in (*first, *rest) if name in named)
    return tuple(first if which == "headline" else (*first, *rest))


def pairs(arms: Sequence[str], claims: Claims, seeds: int) -> list[tuple[str, int]]:
    """(arm, seed) in the order in which they are played: all seeds of the headline arms, then the
    sweeps; arms of a seed together, because they share its pools.
    """
    first = [name for name in arms if claims.arms[name].headline]
    rest = [name for name in arms if not claims.arms[name].headline]
    return [
        (arm, seed)
        for part in (first, rest)
        for seed in range(seeds)
        for arm in part
        if seed < (claims.arms[arm].seeds or seeds)
    ]
