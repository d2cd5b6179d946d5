"""One supervisor as the server sees it, wherever it runs: frames over a link, one run at a time."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from roundsmith.errors import SandboxError
from roundsmith.sandbox.codec import HEADER, CodecError, decode, encode
from roundsmith.sandbox.runs import Event, Run
from roundsmith.sandbox.supervisor import CANCEL, RUN

_START_S = 20.0
_MOST_FRAME = 16 * 2**20
"""A batch of events is sent when it has 4 MiB, and one answer is 2 MiB at most."""
_SILENT_WALLS, _SILENT_S = 50, 60.0
"""Far beyond the wall limits that a supervisor keeps, extensions for a busy machine included."""


class SupervisorLost(SandboxError):
    """The supervisor or its zygote ended; what it was running is not known."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What one supervisor is for: its number, its import profile, whether it enters namespaces, its
    users.
    """

    number: int
    profile: str
    isolate: bool
    uid_base: int


@dataclass(frozen=True, slots=True)
class Started:
    """What was started: its process number where it runs, and in which sandbox and image."""

    pid: int
    image: str
    sandbox_id: str
    """Another sandbox may have another kernel: each is probed."""


class Link(Protocol):
    """Bytes to and from one supervisor."""

    @property
    def started(self) -> Started: ...

    @property
    def expired(self) -> bool:
        """Whether it is time for a fresh one, when nothing runs."""

    async def send(self, content: bytes) -> None:
        """Raises SupervisorLost."""

    async def receive(self, size: int) -> bytes:
        """Exactly so many bytes. Raises SupervisorLost. Cancelling it loses none."""

    async def close(self) -> None:
        """Ends the supervisor, its zygote and every child, and removes its directory."""


class Supervisors(Protocol):
    """Where supervisors come from."""

    async def open(self, slot: Slot) -> Link:
        """Starts one. Raises SandboxError."""

    async def close(self) -> None: ...


class Supervisor:
    """A started supervisor. `interfaces` are those of its network namespace, empty without one."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.interfaces: list[str] = []
        self.idle = True

    @property
    def started(self) -> Started:
        return self._link.started

    @classmethod
    async def on(cls, link: Link, slot: Slot) -> "Supervisor":
        """Waits until the zygote of a fresh supervisor is ready. Raises SandboxError with what the
        kernel refused; the link is then closed.
        """
        supervisor = cls(link)
        try:
            async with asyncio.timeout(_START_S):
                await supervisor._set_up(slot)
        except (TimeoutError, SandboxError) as error:
            await link.close()
            raise SandboxError(f"a supervisor did not start: {error or 'no answer'}") from error
        except BaseException:
            await link.close()
            raise
        return supervisor

    async def _set_up(self, slot: Slot) -> None:
        await self._send(encode((slot.isolate, slot.uid_base + 2 * slot.number, slot.profile)))
        ready, why, self.interfaces = decode(await self._receive(_MOST_FRAME))
        if not ready:
            raise SandboxError(why)

    async def run(self, run: Run) -> AsyncGenerator[Event, None]:
        """Events as they come. Raises SupervisorLost when the supervisor ends first, or says
        nothing for longer than a run may take.

        Leaving the iteration early (aclose) cancels the run and waits until no process of it is
        left.
        """
        self.idle, last = False, False
        await self._send(RUN + run.pack())
        silent_s = _SILENT_S + _SILENT_WALLS * run.wall_factor * run.fresh_cpu_s
        most = _MOST_FRAME + run.output_bytes
        try:
            while not last:
                last, events = await self._batch(most, silent_s)
                for event in events:
                    yield event
        finally:
            ended = last or await self._cancel(most)
            self.idle = ended and not self._link.expired

    async def _batch(self, most: int, silent_s: float) -> tuple[bool, list[Event]]:
        try:
            async with asyncio.timeout(silent_s):
                frame = await self._receive(most)
            last, events = decode(frame, 2**31, 8)
        except TimeoutError as error:
            raise SupervisorLost(f"the supervisor said nothing for {silent_s:.0f} s") from error
        except (CodecError, TypeError, ValueError) as error:
            raise SupervisorLost(f"the supervisor sent no event: {error}") from error
        return last, events

    async def _cancel(self, most: int) -> bool:
        """Whether the run was ended and the supervisor is idle again."""
        try:
            await self._send(CANCEL)
            while not (await self._batch(most, _SILENT_S))[0]:
                continue
        except SupervisorLost:
            return False
        return True

    async def _send(self, content: bytes) -> None:
        await self._link.send(HEADER.pack(len(content)) + content)

    async def _receive(self, most: int) -> bytes:
        (size,) = HEADER.unpack(await self._link.receive(HEADER.size))
        if size > most:
            raise SupervisorLost(f"the supervisor announced {size} bytes, expected at most {most}")
        return await self._link.receive(size)

    async def close(self) -> None:
        """Ends the supervisor and everything below it."""
        await self._link.close()
