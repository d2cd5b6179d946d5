"""`roundsmith serve`: one service until SIGTERM, or all of them on loopback."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from roundsmith.config import ServeSettings, Settings, WeightsSettings, let_threads_sleep
from roundsmith.errors import ConfigError
from roundsmith.serve import run
from roundsmith.serve.server import die_with_parent as follow_parent
from roundsmith.steps.inputs import model_source

Options = Mapping[str, Any]


def generator(
    model: str, options: Options, listen: Options, weights: Options, ready: Path | None, tied: bool
) -> None:
    """The generator on the `transformers` engine."""
    from roundsmith.generator.settings import GeneratorSettings
    from roundsmith.generator.start import start

    let_threads_sleep()
    serve = _begin(listen, tied)
    settings = _settings(GeneratorSettings, {"model": model_source(model), **options})
    kept = _settings(WeightsSettings, weights)
    asyncio.run(run(lambda: start(settings, serve, kept), serve, ready))


def scorer(
    model: str, options: Options, listen: Options, weights: Options, ready: Path | None, tied: bool
) -> None:
    """The scorer."""
    from roundsmith.scorer.settings import ScorerSettings
    from roundsmith.scorer.start import start

    let_threads_sleep()
    serve = _begin(listen, tied)
    settings = _settings(ScorerSettings, {"model": model_source(model), **options})
    kept = _settings(WeightsSettings, weights)
    asyncio.run(run(lambda: start(settings, serve, kept), serve, ready))


def executor(options: Options, listen: Options, ready: Path | None, tied: bool) -> None:
    """The executor on the pool that the options name; None is an option's default."""
    from roundsmith.executor.settings import ExecutorSettings
    from roundsmith.executor.start import start

    serve = _begin(listen, tied)
    given = {name: value for name, value in options.items() if value is not None}
    settings = _settings(ExecutorSettings, given)
    asyncio.run(run(lambda: start(settings, serve), serve, ready))


def sandbox_worker(
    address: str, socket: Path, supervisors: int, ready: Path | None, tied: bool
) -> None:
    """The worker of a sandbox pod."""
    from roundsmith.executor.settings import ATTACH_DEADLINE_S, SandboxWorkerSettings
    from roundsmith.executor.worker import start

    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--address: expected HOST:PORT, saw {address!r}")
    listen = {"host": host.strip("[]"), "port": port, "max_deadline_s": 2 * ATTACH_DEADLINE_S}
    serve = _begin(listen, tied)
    options = {"socket": socket, "max_supervisors": supervisors}
    settings = _settings(SandboxWorkerSettings, options)
    asyncio.run(run(lambda: start(settings), serve, ready))


def pair_builder(recipes: Sequence[str], listen: Options, ready: Path | None, tied: bool) -> None:
    """The pair builder with the rules of these packages and folders."""
    from roundsmith.pair_builder.start import start

    serve = _begin(listen, tied)
    asyncio.run(run(lambda: start(recipes, serve), serve, ready))


def everything(model: str, out: Path) -> None:
    """All services on loopback until Ctrl-C or SIGTERM; prints their addresses when ready."""
    from roundsmith.platform.local import LocalPlatform
    from roundsmith.steps.config import RunConfig

    config = RunConfig(recipe="", model=model)
    platform = LocalPlatform(config, out.resolve())

    async def until_interrupted() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        stopping = asyncio.ensure_future(stopped.wait())
        starting = asyncio.ensure_future(platform.services(model_source(model)))
        try:
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.wait((starting,))
                return
            starting.result()
            assert platform.endpoints is not None
            print(platform.endpoints.model_dump_json(indent=2), flush=True)
            await platform.watched(stopping)
        finally:
            stopping.cancel()
            await platform.close()

    asyncio.run(until_interrupted())


def _begin(listen: Options, tied: bool) -> ServeSettings:
    if tied:
        follow_parent()
    settings: ServeSettings = _settings(ServeSettings, listen)
    return settings


def _settings(cls: "Callable[..., Any] | type[Settings]", options: Options) -> Any:
    try:
        return cls(**options)
    except ValidationError as error:
        details = "; ".join(
            f"--{e['loc'][0]}: {e['msg']}, saw {e['input']!r}".replace("_", "-")
            if e["loc"]
            else e["msg"]
            for e in error.errors()
        )
        raise ConfigError(details) from error
