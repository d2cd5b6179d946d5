"""Starts the generator: settings in, a service that `serve.run` keeps up out."""

import asyncio
from pathlib import Path

from roundsmith.config import ServeSettings
from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.service import bindings
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.serve import Service
from roundsmith.serve.weights import StorageRoot


async def start(
    settings: GeneratorSettings, serve: ServeSettings, storage_root: Path | None
) -> Service:
    """Loads the model and offers it; ConfigError when it can not be served."""
    engine = await asyncio.to_thread(TransformersEngine, settings)

    async def close() -> None:
        await asyncio.to_thread(engine.close)

    return Service(bindings(engine, serve, StorageRoot(storage_root).resolve), close)
