"""Overload, new weights, the end."""

import asyncio
from pathlib import Path

import pytest

from roundsmith.errors import Overloaded, Unavailable, WeightsMismatch
from roundsmith.hashing import weights_sha256
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Score, ScoreItem

ITEMS = [ScoreItem(str(i), "def add", "x" * (i + 1)) for i in range(8)]


def test_new_weights_score_what_waits(tiny: Path, other_tiny: Path) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny)))
    new = weights_sha256(other_tiny)

    async def ask() -> list[Score]:
        return list(await asyncio.gather(*map(scorer.score, ITEMS)))

    async def scenario() -> tuple[list[Score], list[Score], list[Score]]:
        before = await ask()
        during = asyncio.create_task(ask())
        await scorer.reload(other_tiny, new)
        await scorer.reload(other_tiny, new)  # again: nothing to do
        with pytest.raises(WeightsMismatch, match=r"expected 0000"):
            await scorer.reload(tiny, "0" * 64)
        return before, await during, await ask()

    before, during, after = asyncio.run(scenario())
    assert {score.weights_sha256 for score in before} == {weights_sha256(tiny)}
    assert {score.weights_sha256 for score in after} == {new} == {scorer.describe().weights_sha256}
    for mixed, one, other in zip(during, before, after, strict=True):
        assert mixed in (one, other)
    scorer.close()


def test_a_full_queue_refuses_and_the_accepted_are_answered(tiny: Path) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny), max_waiting=4, linger_s=0.2))

    async def scenario() -> list[Score | BaseException]:
        return await asyncio.gather(*map(scorer.score, ITEMS * 4), return_exceptions=True)

    answers = asyncio.run(scenario())
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert refused
    assert all(error.retry_after_s >= 0.5 for error in refused)
    assert len([a for a in answers if isinstance(a, Score)]) == len(answers) - len(refused) >= 4
    scorer.close()


def test_a_cancelled_item_is_dropped_and_others_are_scored(tiny: Path) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny), linger_s=0.2))

    async def scenario() -> Score:
        cancelled = asyncio.create_task(scorer.score(ITEMS[0]))
        kept = asyncio.create_task(scorer.score(ITEMS[0]))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return await kept

    assert asyncio.run(scenario()).token_count > 0
    scorer.close()


def test_what_waits_when_the_scorer_closes_is_told_so(tiny: Path) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny), linger_s=30.0))

    async def scenario() -> None:
        asked = asyncio.create_task(scorer.score(ITEMS[0]))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(scorer.close)
        with pytest.raises(Unavailable, match="shutting down"):
            await asked
        with pytest.raises(Unavailable):
            await scorer.score(ITEMS[0])

    asyncio.run(scenario())
