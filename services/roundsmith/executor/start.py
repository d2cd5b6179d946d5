"""Starts the executor: settings in, a service that `serve.run` keeps up out."""

from roundsmith.config import ServeSettings
from roundsmith.executor.metrics import PoolMetrics
from roundsmith.executor.pool import Pool
from roundsmith.executor.service import bindings
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.serve import Service


async def start(settings: ExecutorSettings, serve: ServeSettings) -> Service:
    """Starts the sandboxes and offers them; IsolationFloor when the floor does not hold."""
    pool = await Pool.start(settings)
    return Service(bindings(pool, serve), pool.close, [PoolMetrics(pool)], pool.failed)
