"""The worker of a sandbox pod: hands each stream to a supervisor in the container beside it.

It reads nothing of what it passes on, and runs under another user than the sandbox. Text between
executor server and worker is plain: the pod's network policy must let only the server in.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.executor.sandbox_container import SandboxContainer, SupervisorSocket
from roundsmith.executor.settings import SandboxWorkerSettings
from roundsmith.serve import Binding, Service
from roundsmith.v1 import sandbox_pb2 as pb2
from roundsmith.v1 import sandbox_pb2_grpc

MAX_CONTENT_BYTES = 2**20
_CHUNK = 2**18


class SandboxServicer(sandbox_pb2_grpc.SandboxServiceServicer):
    """SandboxService over the container beside it."""

    def __init__(self, container: SandboxContainer) -> None:
        self._container = container

    async def Attach(
        self, requests: AsyncIterator[pb2.AttachRequest], context: Any
    ) -> AsyncIterator[pb2.AttachResponse]:
        async with self._container.supervisor() as supervisor:
            yield self._started(supervisor)
            sending = asyncio.create_task(_send(requests, supervisor))
            try:
                while content := await _read(supervisor):
                    yield pb2.AttachResponse(content=content)
            finally:
                sending.cancel()
                (error,) = await asyncio.gather(sending, return_exceptions=True)
        if isinstance(error, ConfigError):
            raise error

    def _started(self, supervisor: SupervisorSocket) -> pb2.AttachResponse:
        started = pb2.StartedSupervisor(
            image=supervisor.image,
            sandbox_id=supervisor.sandbox_id,
            pid=supervisor.pid,
            uid=supervisor.uid,
            max_supervisors=self._container.max_supervisors,
            memory_bytes=supervisor.memory_bytes,
            max_content_bytes=MAX_CONTENT_BYTES,
        )
        return pb2.AttachResponse(started=started)


async def _read(supervisor: SupervisorSocket) -> bytes:
    """The next bytes, none when the supervisor ended, however that was."""
    try:
        return await supervisor.reader.read(_CHUNK)
    except ConnectionError:
        return b""


async def _send(requests: AsyncIterator[pb2.AttachRequest], supervisor: SupervisorSocket) -> None:
    """Passes bytes on until the caller ends the stream, which ends the supervisor. Raises
    ConfigError for too many at once.
    """
    try:
        async for request in requests:
            if len(request.content) > MAX_CONTENT_BYTES:
                raise ConfigError(
                    f"content of {len(request.content)} bytes, expected at most "
                    f"{MAX_CONTENT_BYTES}: cut it"
                )
            supervisor.writer.write(request.content)
            await supervisor.writer.drain()
    finally:
        supervisor.hang_up()


async def start(settings: SandboxWorkerSettings) -> Service:
    """Waits for the sandbox container, then offers its supervisors. Raises PlatformError when it
    does not come.
    """
    container = SandboxContainer(settings)
    try:
        await container.start()
    except BaseException:
        await container.close()
        raise
    return Service(bindings(container), container.close)


def bindings(container: SandboxContainer) -> list[Binding]:
    """The worker's service; its streams carry bytes."""
    servicer = SandboxServicer(container)
    return [
        Binding(
            "roundsmith.v1.SandboxService",
            lambda server: sandbox_pb2_grpc.add_SandboxServiceServicer_to_server(servicer, server),
            items=False,
        )
    ]
