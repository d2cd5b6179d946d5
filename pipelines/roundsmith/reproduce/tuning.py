"""Learning rate and beta of every arm, chosen on `gate` and on seeds of their own, from grids of
one size.
"""

from collections.abc import Callable, Mapping
from statistics import mean

from roundsmith.claims import Claims
from roundsmith.reproduce.choice import FIRST_TUNING_SEED, Tuned
from roundsmith.reproduce.player import Player
from roundsmith.types import Split

Score = Callable[[str], float]
"""pass@1 of an evaluation by its reference."""


def order(claims: Claims, wanted: tuple[str, ...]) -> list[str]:
    """The arms that are tuned for these to be played, each after those that it takes its steps or
    tokens from.
    """
    found: list[str] = []

    def add(arm: str) -> None:
        root = claims.chain(arm)[-1]
        one = claims.arms[arm]
        for other in (one.steps_of, one.tokens_of, claims.arms[root].steps_of):
            if other and other != arm:
                add(other)
        if claims.arms[root].train != "nothing" and root not in found:
            found.append(root)

    for arm in wanted:
        add(arm)
    return found


def tuning_seeds(claims: Claims) -> range:
    """The seeds on which arms are tuned."""
    return range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + claims.tuning_seeds)


def tune(
    player: Player, wanted: tuple[str, ...], score: Score, known: Mapping[str, Tuned]
) -> dict[str, Tuned]:
    """The row of its grid with which each arm has the highest mean pass@1 on `gate`; the first of
    equals. What is `known` stays.
    """
    claims = player.claims
    found = dict(known)
    for arm in order(claims, wanted):
        if arm in found:
            continue
        rows = claims.grids[claims.arms[arm].grid]
        scores = [_on_gate(player, arm, found | {arm: row}, score) for row in rows]
        found[arm] = rows[scores.index(max(scores))]
    return found


def _on_gate(player: Player, arm: str, tuned: Mapping[str, Tuned], score: Score) -> float:
    return mean(
        score(player.play(arm, seed, tuned, Split.GATE).evaluations[Split.GATE])
        for seed in tuning_seeds(player.claims)
    )
