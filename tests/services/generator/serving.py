"""A generator as others see it: a process, its ports, its replicas."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from roundsmith.clients import GeneratorClient, Replicas, StreamSettings
from roundsmith.clients.channels import open_channel
from roundsmith.config import ServeSettings
from roundsmith.generator.metrics import GeneratorMetrics
from roundsmith.generator.service import GeneratorEngine, GeneratorServicer
from roundsmith.serve import Binding, listening
from roundsmith.v1 import generator_pb2_grpc
from tests.ports import kept_port
from tests.warm import start

START_S = 600.0


@asynccontextmanager
async def served(engine: GeneratorEngine, **settings: object) -> AsyncIterator[str]:
    """The engine's servicer in this loop; yields its address."""
    serve = ServeSettings.model_validate(settings)
    servicer = GeneratorServicer(engine, serve, GeneratorMetrics(engine))
    binding = Binding(
        "roundsmith.v1.GeneratorService",
        lambda server: generator_pb2_grpc.add_GeneratorServiceServicer_to_server(servicer, server),
    )
    async with listening([binding], serve) as addresses:
        yield addresses["address"]


@asynccontextmanager
async def client_of(
    target: str, admin: Replicas | None = None, settings: StreamSettings | None = None
) -> AsyncIterator[GeneratorClient]:
    """A client of one target."""
    async with open_channel(target) as channel:
        client = GeneratorClient(channel, admin, settings or StreamSettings())
        try:
            yield client
        finally:
            await client.stream.close()


class GeneratorProcess:
    """`roundsmith serve generator` with these options, on the same ports when it starts again."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._ready, self.log = folder / "ready.json", folder / "log"
        self._options, self._ports = options, (str(kept_port()), str(kept_port()))
        self.start()

    def start(self) -> None:
        """Starts it."""
        self._ready.unlink(missing_ok=True)
        (port, admin), ready = self._ports, str(self._ready)
        places = ("--port", port, "--admin-port", admin, "--ready-file", ready)
        self.process = start(
            "roundsmith.cli", ("serve", "generator", *self._options, *places), self.log
        )

    async def ready(self) -> None:
        """Returns when it listens."""
        async with asyncio.timeout(START_S):
            while not self._ready.exists():
                assert self.process.poll() is None, self.log.read_text()[-3000:]
                await asyncio.sleep(0.05)
        found = json.loads(self._ready.read_text())
        self.address, self.admin = found["address"], found["admin_address"]

    def stop(self) -> None:
        """SIGSTOP: it answers nothing from now on."""
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL, to this process alone."""
        self.process.kill()

    async def ended(self, within_s: float = 300.0) -> int:
        """Its exit status, once it has ended by itself."""
        return await asyncio.to_thread(self.process.wait, within_s)

    def terminate(self) -> None:
        """SIGTERM, and its end."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(300)
