"""Starts the generator: settings in, a service that `serve.run` keeps up out."""

import asyncio

from roundsmith.config import ServeSettings, WeightsSettings
from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.service import bindings
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.serve import Service
from roundsmith.serve.checkpoints import checkpoints_under
from roundsmith.serve.weights import Reloads


async def start(
    settings: GeneratorSettings, serve: ServeSettings, weights: WeightsSettings
) -> Service:
    """Loads the model and offers it; ConfigError when it can not be served.

    It serves the weights that are recorded, where there is a record of any.
    """
    checkpoints = await asyncio.to_thread(checkpoints_under, weights.storage_root, weights.cache)
    engine = await asyncio.to_thread(TransformersEngine, settings)
    reloads = Reloads(engine, checkpoints, weights.record)
    await reloads.restore()

    async def close() -> None:
        await asyncio.to_thread(checkpoints.close)
        await asyncio.to_thread(engine.close)

    return Service(bindings(engine, serve, reloads), close)
