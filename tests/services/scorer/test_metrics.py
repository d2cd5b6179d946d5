"""What the scorer tells Prometheus is what it computed."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.rows import row_of
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import ScoreItem

PLACES = 128


def test_tokens_padding_occupancy_and_queue_add_up_to_the_passes(tiny: Path) -> None:
    settings = ScorerSettings(model=str(tiny), forward_tokens=PLACES, linger_s=0.0)
    scorer = TransformersScorer(settings)
    registry = CollectorRegistry()
    for collector in scorer.metrics.collectors:
        registry.register(collector)
    items = [ScoreItem(f"{n}", f"def add_{n}(a, b):", " return a + b" * n) for n in range(1, 6)]

    async def score() -> None:
        for item in items:
            await scorer.score(item)

    def value(name: str) -> float:
        found = registry.get_sample_value(f"roundsmith_scorer_{name}")
        assert found is not None, name
        return found

    try:
        asyncio.run(score())
        rows = [row_of(item, scorer._worker.loaded) for item in items]
        tokens = sum(len(row.prefix) + len(row.inputs) for row in rows)
        passes = value("pass_seconds_count")
        assert passes >= len(items), "each is asked for when the one before is answered"
        assert value("tokens_total") == tokens
        assert value("padding_tokens_total") == passes * PLACES - tokens
        assert value("batch_occupancy_count") == passes
        assert value("batch_occupancy_sum") == pytest.approx(tokens / PLACES)
        assert value("queue_seconds_count") == len(items)
        assert (value("items_waiting"), value("reused_tokens_total")) == (0, 0)
    finally:
        scorer.close()
