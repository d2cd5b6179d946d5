"""A scorer over the tiny model, and how the tests ask it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch

from roundsmith.config import REPEATED_SUMS
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Score, ScoreItem

ScoreAll = Callable[[Sequence[ScoreItem]], list[Score]]


def pytest_collection_finish() -> None:
    """MKL is told how to add (`repeat_sums`) before any test has it add: it listens once, and a
    scorer that comes after another test's model would be too late.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MKL_CBWR", REPEATED_SUMS)
        torch.ones(64, 64) @ torch.ones(64, 64)


@pytest.fixture(scope="session")
def scorer(tiny: Path) -> Iterator[TransformersScorer]:
    """A scorer with small batches, so that many are needed."""
    settings = ScorerSettings(model=str(tiny), forward_tokens=128, threads=2)
    scorer = TransformersScorer(settings)
    yield scorer
    scorer.close()


@pytest.fixture(scope="session")
def score_all(scorer: TransformersScorer) -> ScoreAll:
    """Scores of items asked at once, in their order."""

    async def ask(items: Sequence[ScoreItem]) -> list[Score]:
        return list(await asyncio.gather(*map(scorer.score, items)))

    return lambda items: asyncio.run(ask(items))
