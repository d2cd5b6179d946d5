"""`roundsmith serve`: one service until SIGTERM, or all of them on loopback."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from roundsmith.children import die_with_parent as follow_parent
from roundsmith.commands.serve_options import (
    Admin,
    Engine,
    Listen,
    Model,
    Process,
    Scoring,
    Weights,
)
from roundsmith.config import ServeSettings, Settings, WeightsSettings, let_threads_sleep
from roundsmith.errors import ConfigError
from roundsmith.lab import model_source
from roundsmith.serve import Service, run
from roundsmith.startup import hold_searches, resume_searches
from roundsmith.storage import make_output_folder

Options = Mapping[str, Any]


def generator(
    model: Model, engine: Engine, listen: Listen, admin: Admin, weights: Weights, process: Process
) -> None:
    """The generator on the engine that the options name."""
    from roundsmith.generator.settings import GeneratorSettings, VllmSettings
    from roundsmith.generator.start import start

    kinds: dict[str, type[GeneratorSettings] | type[VllmSettings]]
    kinds = {"transformers": GeneratorSettings, "vllm": VllmSettings}
    if engine.engine not in kinds:
        raise ConfigError(f"--engine: expected one of {', '.join(kinds)}, saw {engine.engine!r}")
    let_threads_sleep()
    serve = _begin(process, listen, admin)
    given = {name: value for name, value in asdict(engine).items() if value is not None}
    del given["engine"]
    settings = _settings(kinds[engine.engine], {**_model(model), **given})
    kept = _weights(weights)
    if engine.engine == "transformers":  # vLLM's processes would inherit it
        hold_searches()
    asyncio.run(run(lambda: _started(start(settings, serve, kept)), serve, process.ready_file))


def scorer(
    model: Model, listen: Listen, admin: Admin, weights: Weights, process: Process, scoring: Scoring
) -> None:
    """The scorer."""
    from roundsmith.scorer.settings import ScorerSettings
    from roundsmith.scorer.start import start

    let_threads_sleep()
    serve = _begin(process, listen, admin)
    given = {name: value for name, value in asdict(scoring).items() if value is not None}
    settings = _settings(ScorerSettings, {**_model(model), **given})
    kept = _weights(weights)
    hold_searches()
    asyncio.run(run(lambda: _started(start(settings, serve, kept)), serve, process.ready_file))


def executor(options: Options, listen: Listen, process: Process) -> None:
    """The executor on the pool that the options name; None is an option's default."""
    from roundsmith.executor.settings import ExecutorSettings
    from roundsmith.executor.start import start

    serve = _begin(process, listen)
    given = {name: value for name, value in options.items() if value is not None}
    settings = _settings(ExecutorSettings, given)
    asyncio.run(run(lambda: start(settings, serve), serve, process.ready_file))


def sandbox_worker(address: str, socket: Path, supervisors: int, process: Process) -> None:
    """The worker of a sandbox pod."""
    from roundsmith.executor.settings import ATTACH_DEADLINE_S, SandboxWorkerSettings
    from roundsmith.executor.worker import start

    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--address: expected HOST:PORT, saw {address!r}")
    serve = _begin(process, Listen(int(port), host.strip("[]")))
    serve = serve.model_copy(update={"max_deadline_s": 2 * ATTACH_DEADLINE_S})
    options = {"socket": socket, "max_supervisors": supervisors}
    settings = _settings(SandboxWorkerSettings, options)
    asyncio.run(run(lambda: start(settings), serve, process.ready_file))


def pair_builder(recipes: Sequence[str], listen: Listen, process: Process) -> None:
    """The pair builder with the rules of these packages and folders."""
    from roundsmith.pair_builder.start import start

    serve = _begin(process, listen)
    hold_searches()
    asyncio.run(run(lambda: _started(start(recipes, serve)), serve, process.ready_file))


def everything(model: str, out: Path) -> None:
    """All services on loopback until Ctrl-C or SIGTERM; prints their addresses when ready."""
    from roundsmith.platform.local import LocalPlatform
    from roundsmith.steps.config import RunConfig

    config = RunConfig(recipe="", model=model)
    platform = LocalPlatform(config, make_output_folder(out).resolve())

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


async def _started(starting: Awaitable[Service]) -> Service:
    service = await starting
    resume_searches()
    return service


def _begin(process: Process, listen: Listen, admin: Admin | None = None) -> ServeSettings:
    if process.die_with_parent:
        follow_parent()
    given = {**asdict(listen), **({} if admin is None else asdict(admin))}
    said = {name: value for name, value in given.items() if value is not None}
    settings: ServeSettings = _settings(ServeSettings, said)
    return settings


def _model(model: Model) -> Options:
    return {**asdict(model), "model": model_source(model.model)}


def _weights(weights: Weights) -> WeightsSettings:
    return WeightsSettings(
        storage_root=weights.storage_root,
        cache=weights.weights_cache,
        record=weights.weights_record,
    )


def _settings(cls: "Callable[..., Any] | type[Settings]", options: Options) -> Any:
    try:
        return cls(**options)
    except ValidationError as error:
        details = "; ".join(
            f"--{e['loc'][0]}: {e['msg']}, saw {e['input']!r}".replace("_", "-")
            if e["loc"]
            else e["msg"].removeprefix("Value error, ")
            for e in error.errors()
        )
        raise ConfigError(details) from error
