"""Starts the scorer: settings in, a service that `serve.run` keeps up out."""

import asyncio

from roundsmith.config import ServeSettings, WeightsSettings
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.service import bindings
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.serve import Service
from roundsmith.serve.checkpoints import checkpoints_under
from roundsmith.serve.weights import Reloads


async def start(
    settings: ScorerSettings, serve: ServeSettings, weights: WeightsSettings
) -> Service:
    """Loads the model and offers it; ConfigError when it can not be served.

    It serves the weights that are recorded, where there is a record of any.
    """
    checkpoints = await asyncio.to_thread(checkpoints_under, weights.storage_root, weights.cache)
    engine = await asyncio.to_thread(TransformersScorer, settings)
    reloads = Reloads(engine, checkpoints, weights.record)
    await reloads.restore()

    async def close() -> None:
        await asyncio.to_thread(checkpoints.close)
        await asyncio.to_thread(engine.close)

    return Service(
        bindings(engine, serve, reloads), close, engine.metrics.collectors, engine.failed
    )
