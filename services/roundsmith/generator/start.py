"""Starts the generator: settings in, a service that `serve.run` keeps up out."""

import asyncio

from roundsmith.config import ServeSettings, WeightsSettings
from roundsmith.generator.adapter_loads import AdapterLoads
from roundsmith.generator.metrics import GeneratorMetrics
from roundsmith.generator.service import GeneratorEngine, bindings
from roundsmith.generator.settings import GeneratorSettings, VllmSettings
from roundsmith.serve import Service
from roundsmith.serve.checkpoints import checkpoints_under
from roundsmith.serve.weights import Reloads


async def start_engine(settings: GeneratorSettings | VllmSettings) -> GeneratorEngine:
    """The engine of these settings, with its model loaded; ConfigError when it can not be."""
    match settings:
        case VllmSettings():
            from roundsmith.generator.vllm_engine import VllmEngine

            return await VllmEngine.start(settings)
        case GeneratorSettings():
            from roundsmith.generator.engine import TransformersEngine

            return await asyncio.to_thread(TransformersEngine, settings)


async def start(
    settings: GeneratorSettings | VllmSettings, serve: ServeSettings, weights: WeightsSettings
) -> Service:
    """Loads the model and offers it; ConfigError when it can not be served.

    It serves the weights and adapters that are recorded, where there is a record of any.
    """
    root, cache = weights.storage_root, weights.cache
    checkpoints = await asyncio.to_thread(checkpoints_under, root, cache)
    of_adapters = await asyncio.to_thread(
        checkpoints_under, root, None if cache is None else cache / "adapters"
    )
    engine = await start_engine(settings)
    reloads = Reloads(engine, checkpoints, weights.record)
    adapters = AdapterLoads(engine, of_adapters, weights.record)

    async def close() -> None:
        await asyncio.to_thread(checkpoints.close)
        await asyncio.to_thread(of_adapters.close)
        await engine.close()

    try:
        await reloads.restore()
        await adapters.restore()
        await reloads.restore()  # what was recorded while adapters loaded
    except BaseException:
        await close()
        raise
    metrics = GeneratorMetrics(engine)
    offered = bindings(engine, serve, reloads, adapters, metrics)
    return Service(offered, close, metrics.collectors, engine.failed)
