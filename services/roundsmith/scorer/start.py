"""Starts the scorer: settings in, a service that `serve.run` keeps up out."""

import asyncio
from pathlib import Path

from roundsmith.config import ServeSettings
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.service import bindings
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.serve import Service
from roundsmith.serve.checkpoints import checkpoints_under
from roundsmith.serve.weights import Reloads


async def start(
    settings: ScorerSettings, serve: ServeSettings, storage_root: str | None, cache: Path | None
) -> Service:
    """Loads the model and offers it; ConfigError when it can not be served.

    Later weights come from under `storage_root`, by way of the folder `cache` where that is a URL.
    """
    checkpoints = await asyncio.to_thread(checkpoints_under, storage_root, cache)
    engine = await asyncio.to_thread(TransformersScorer, settings)

    async def close() -> None:
        await asyncio.to_thread(checkpoints.close)
        await asyncio.to_thread(engine.close)

    return Service(bindings(engine, serve, Reloads(engine, checkpoints)), close)
