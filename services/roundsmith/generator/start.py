"""Starts the generator: settings in, a service that `serve.run` keeps up out."""

import asyncio
from pathlib import Path

from roundsmith.config import ServeSettings
from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.service import bindings
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.serve import Service
from roundsmith.serve.checkpoints import checkpoints_under
from roundsmith.serve.weights import Reloads


async def start(
    settings: GeneratorSettings, serve: ServeSettings, storage_root: str | None, cache: Path | None
) -> Service:
    """Loads the model and offers it; ConfigError when it can not be served.

    Later weights come from under `storage_root`, by way of the folder `cache` where that is a URL.
    """
    checkpoints = await asyncio.to_thread(checkpoints_under, storage_root, cache)
    engine = await asyncio.to_thread(TransformersEngine, settings)

    async def close() -> None:
        await asyncio.to_thread(checkpoints.close)
        await asyncio.to_thread(engine.close)

    return Service(bindings(engine, serve, Reloads(engine, checkpoints)), close)
