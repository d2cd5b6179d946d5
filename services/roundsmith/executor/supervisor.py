"""One supervisor as the server sees it, wherever it runs: frames over a link, one run at a time."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from roundsmith.errors import SandboxError
from roundsmith.executor.reports import Report
from roundsmith.sandbox.codec import HEADER, CodecError
from roundsmith.sandbox.events import Event, unpack_events
from roundsmith.sandbox.runs import Run
from roundsmith.sandbox.starting import Told, Wanted
from roundsmith.sandbox.supervisor import CANCEL, RUN

_START_S = 60.0
_MOST_FRAME = 16 * 2**20
"""A batch of events is sent when it has 4 MiB, and one answer is 2 MiB at most."""
_SILENT_WALLS, _SILENT_S = 50, 60.0
"""Far beyond the wall limits that a supervisor keeps, extensions for a busy machine included."""


class SupervisorLost(SandboxError):
    """The supervisor or its zygote ended; what it was running is not known."""


class Bystander(SandboxError):
    """The sandbox failed while it ran something else: what is said so to counts no attempt."""


class NotStarted(SandboxError):
    """No supervisor could be started, so nothing was run."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What one supervisor is for: its number, whether it enters namespaces, its users."""

    number: int
    isolate: bool
    uid_base: int
    compiled: bool = True
    """Whether the launcher in C may be used."""


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

    @property
    def alive(self) -> bool:
        """Whether it has not ended as far as is known."""

    def begin_run(self) -> None:
        """A run begins; `end_run` is called when it has ended, however that was."""

    def end_run(self) -> None: ...

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

    def distrust(self, started: Started) -> None:
        """A canary failed in a supervisor that it started."""

    async def close(self) -> None: ...


class Supervisor:
    """A started supervisor."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.told: Told
        """What it told of itself."""
        self.idle = True

    @property
    def started(self) -> Started:
        return self._link.started

    @property
    def expired(self) -> bool:
        """Whether it is time for a fresh one, when nothing runs."""
        return self._link.expired

    @property
    def alive(self) -> bool:
        """Whether it has not ended as far as is known."""
        return self._link.alive

    @classmethod
    async def on(cls, link: Link, slot: Slot) -> "Supervisor":
        """Waits until the zygote of a fresh supervisor is ready. Raises SandboxError with what the
        kernel refused; the link is then closed.
        """
        supervisor = cls(link)
        try:
            await supervisor._set_up(slot)
        except (SandboxError, CodecError, TypeError, ValueError, AttributeError) as error:
            await link.close()
            raise SandboxError(f"a supervisor did not start: {error}") from error
        except BaseException:
            await link.close()
            raise
        return supervisor

    async def _set_up(self, slot: Slot) -> None:
        uid = slot.uid_base + 2 * slot.number
        await self._send(Wanted(slot.isolate, uid, slot.compiled).pack())
        self.told = Told.unpack(await self._receive(_MOST_FRAME, _START_S))
        if not self.told.ready:
            raise SandboxError(self.told.why)

    async def run(self, run: Run) -> AsyncGenerator[list[Event], None]:
        """Events as they come, by batches. Raises SupervisorLost when the supervisor ends first, or
        says nothing for longer than a run may take.

        Leaving the iteration early (aclose) cancels the run and waits until no process of it is
        left.
        """
        assert self.idle, "a run while another one is not over"
        self.idle, last, lost = False, False, False
        silent_s = _SILENT_S + _SILENT_WALLS * run.wall_factor * run.fresh_cpu_s
        most, report = _MOST_FRAME + run.output_bytes, Report(run)
        self._link.begin_run()
        try:
            await self._send(RUN + run.pack())
            while not last:
                last, events = report.batch(await self._receive(most, silent_s))
                if events:
                    yield events
        except (SupervisorLost, CodecError) as error:
            lost = True
            raise SupervisorLost(str(error)) from error
        finally:
            try:
                self.idle = last or (not lost and await self._cancel(most))
            finally:
                self._link.end_run()

    async def _cancel(self, most: int) -> bool:
        """Whether the run was ended and the supervisor is idle again."""
        try:
            await self._send(CANCEL)
            while not unpack_events(await self._receive(most, _SILENT_S))[0]:
                continue
        except (SupervisorLost, CodecError, TypeError, IndexError):
            return False
        return True

    async def _send(self, content: bytes) -> None:
        await self._link.send(HEADER.pack(len(content)) + content)

    async def _receive(self, most: int, silent_s: float) -> bytes:
        """The next frame. Raises SupervisorLost for one over `most` bytes, or none in time."""
        try:
            async with asyncio.timeout(silent_s):
                (size,) = HEADER.unpack(await self._link.receive(HEADER.size))
                if size > most:
                    raise SupervisorLost(f"the supervisor announced {size} bytes, over {most}")
                return await self._link.receive(size)
        except TimeoutError as error:
            raise SupervisorLost(f"the supervisor said nothing for {silent_s:.0f} s") from error

    async def close(self) -> None:
        """Ends the supervisor and everything below it."""
        await self._link.close()
