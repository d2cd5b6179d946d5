"""Supervisors in sandbox pods: each a stream to the worker of a pod."""

import asyncio
import logging
import socket
import time
from dataclasses import dataclass

import grpc

from roundsmith.errors import SandboxError
from roundsmith.executor.settings import ATTACH_DEADLINE_S, ExecutorSettings
from roundsmith.executor.supervisor import Slot, Started, SupervisorLost
from roundsmith.sandbox.boot import SANDBOX_VERSION, version_of
from roundsmith.v1 import sandbox_pb2 as pb2
from roundsmith.v1.sandbox_pb2_grpc import SandboxServiceStub

log = logging.getLogger(__name__)

_TRY_S = 15.0
_FIRST_PAUSE_S, _MOST_PAUSE_S = 0.1, 3.0
_OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
_Call = grpc.aio.StreamStreamCall[pb2.AttachRequest, pb2.AttachResponse]


@dataclass(slots=True)
class PodSeen:
    """What this executor knows of a pod."""

    sandbox_id: str = ""
    num_links: int = 0
    num_busy: int = 0
    num_runs: int = 0
    draining: bool = False
    condemned: bool = False
    other_version: bool = False
    """Of another release, which tells and is told other things: tried after all others."""

    @property
    def rank(self) -> tuple[bool, bool, bool, int]:
        """Where the next supervisor should rather be: the lower, the better."""
        return self.other_version, self.condemned, self.draining, self.num_links

    def enter(self, started: Started) -> None:
        """A sandbox that is another than before has had no run, and nothing is held against it.
        Raises SandboxError for one of another release.
        """
        if started.sandbox_id != self.sandbox_id:
            self.sandbox_id, self.num_runs, self.condemned = started.sandbox_id, 0, False
        version = version_of(started.image)
        self.other_version = version != SANDBOX_VERSION
        if self.other_version:
            raise SandboxError(
                f"a sandbox of version {version} ({started.image}), expected {SANDBOX_VERSION}: "
                "run the sandbox image of the executor's own release"
            )


class PodSupervisors:
    """Spreads supervisors over the pods that names resolve to, looked up again each time."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self._target, self._attach_s = settings.sandboxes, settings.start_s
        self._recycle_s = settings.recycle_s
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._pods: dict[str, PodSeen] = {}

    async def open(self, slot: Slot) -> "PodLink":
        """A supervisor in the pod that has the fewest of ours.

        Tries for `attach_s`, with pauses; then raises SandboxError with what was seen last.
        """
        end, pause_s, seen = time.monotonic() + self._attach_s, _FIRST_PAUSE_S, ""
        while True:
            try:
                for address in await self._addresses():
                    try:
                        return await self._attach(address)
                    except SandboxError as error:
                        seen = str(error)
            except OSError as error:
                seen = str(error)
            if time.monotonic() + pause_s > end:
                raise SandboxError(
                    f"--sandboxes {self._target}: expected a worker that starts a supervisor "
                    f"within {self._attach_s:.0f} s, saw {seen}: start `roundsmith serve "
                    "sandbox-worker` there, or mend the address or what stands between"
                )
            log.warning("no supervisor at %s: %s; again in %.1f s", self._target, seen, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _MOST_PAUSE_S)

    async def _addresses(self) -> list[str]:
        """What the names resolve to, least used first. Raises OSError."""
        addresses = set()
        for target in self._target.split(","):
            host, _, port = target.rpartition(":")
            found = await asyncio.get_running_loop().getaddrinfo(
                host.strip("[]"), int(port), type=socket.SOCK_STREAM
            )
            addresses |= {_address(*entry[4][:2]) for entry in found}
        for gone in self._channels.keys() - addresses:
            if not self.seen(gone).num_links:
                await self._channels.pop(gone).close()
                self._pods.pop(gone, None)
        return sorted(addresses, key=lambda address: (*self.seen(address).rank, address))

    async def _attach(self, address: str) -> "PodLink":
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address, _OPTIONS)
        call: _Call = SandboxServiceStub(self._channels[address]).Attach(timeout=ATTACH_DEADLINE_S)
        link = PodLink(call, time.monotonic() + self._recycle_s, self.seen(address))
        try:
            async with asyncio.timeout(_TRY_S):
                await link.begin()
        except (TimeoutError, SandboxError) as error:
            await link.close()
            raise SandboxError(f"{address}: {error or f'no answer in {_TRY_S:.0f} s'}") from error
        except BaseException:
            await link.close()
            raise
        return link

    def seen(self, address: str) -> "PodSeen":
        """What is known of the pod at the address of its worker."""
        return self._pods.setdefault(address, PodSeen())

    def drain(self, addresses: set[str]) -> None:
        """Has these pods, and no others, get no further work where there are others, and their idle
        supervisors end.
        """
        for address, pod in self._pods.items():
            pod.draining = address in addresses

    def distrust(self, started: Started) -> None:
        """Condemns the pod of the sandbox: it gets no further work where there are others."""
        for pod in self._pods.values():
            pod.condemned |= started.sandbox_id == pod.sandbox_id

    async def close(self) -> None:
        """Closes the connections to all pods."""
        for channel in self._channels.values():
            await channel.close()


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class PodLink:
    """One Attach stream. Reads and writes are shielded, and what is sent is sent whole, one after
    the other: gRPC ends a stream whose read is cancelled or that has two writes at once, and a run
    that is cancelled must not cost its supervisor.
    """

    def __init__(self, call: _Call, expires: float, pod: PodSeen) -> None:
        self._call, self._expires, self._pod = call, expires, pod
        pod.num_links += 1
        self._pending = bytearray()
        self._reading: asyncio.Future[pb2.AttachResponse] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._max_content_bytes = 0
        self._closed = False
        self.started: Started

    @property
    def expired(self) -> bool:
        """Whether the stream is old: a fresh one goes where there are pods now."""
        return self._pod.draining or time.monotonic() > self._expires

    @property
    def alive(self) -> bool:
        """Whether the stream has not ended."""
        return not self._call.done()

    def begin_run(self) -> None:
        """The pod has one run more, and is busy."""
        self._pod.num_runs += 1
        self._pod.num_busy += 1

    def end_run(self) -> None:
        """The pod has one thing less to do."""
        self._pod.num_busy -= 1

    async def begin(self) -> None:
        """Waits for what was started. Raises SupervisorLost, and SandboxError for a pod of another
        release.
        """
        started = (await self._next()).started
        self._max_content_bytes = started.max_content_bytes
        if not self._max_content_bytes:
            raise SupervisorLost("the worker did not say what it started")
        self.started = Started(started.pid, started.image, started.sandbox_id)
        self._pod.enter(self.started)

    async def send(self, content: bytes) -> None:
        """Raises SupervisorLost when the stream ended."""
        self._writing = asyncio.ensure_future(self._write(content, self._writing))
        await asyncio.shield(self._writing)

    async def _write(self, content: bytes, before: asyncio.Future[None] | None) -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        view = memoryview(content)
        while view:
            piece = pb2.AttachRequest(content=bytes(view[: self._max_content_bytes]))
            view = view[self._max_content_bytes :]
            try:
                await self._call.write(piece)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
                raise await self._lost() from error

    async def receive(self, size: int) -> bytes:
        """Raises SupervisorLost when the stream ends first."""
        while len(self._pending) < size:
            self._pending += (await self._next()).content
        content = bytes(self._pending[:size])
        del self._pending[:size]
        return content

    async def _next(self) -> pb2.AttachResponse:
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
        response = await asyncio.shield(self._reading)
        self._reading = None
        return response

    async def _read(self) -> pb2.AttachResponse:
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise await self._lost() from error
        if not isinstance(response, pb2.AttachResponse):
            raise await self._lost()
        return response

    async def _lost(self) -> SupervisorLost:
        code, details = await self._call.code(), await self._call.details()
        return SupervisorLost(f"the stream to the sandbox ended: {code.name} {details or ''}")

    async def close(self) -> None:
        """Ends the stream; the worker ends what it started."""
        if self._closed:
            return
        self._closed = True
        self._pod.num_links -= 1
        self._call.cancel()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)
