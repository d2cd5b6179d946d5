"""Starts the scorer: settings in, a service that `serve.run` keeps up out."""

import asyncio
from pathlib import Path

from roundsmith.config import ServeSettings
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.service import bindings
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.serve import Service
from roundsmith.serve.weights import StorageRoot


async def start(
    settings: ScorerSettings, serve: ServeSettings, storage_root: Path | None
) -> Service:
    """Loads the model and offers it; ConfigError when it can not be served."""
    engine = await asyncio.to_thread(TransformersScorer, settings)

    async def close() -> None:
        await asyncio.to_thread(engine.close)

    return Service(bindings(engine, serve, StorageRoot(storage_root).resolve), close)
