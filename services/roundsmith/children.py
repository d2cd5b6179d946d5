"""Processes that run a module of Roundsmith, and end with the one that started them."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Protocol

from roundsmith.config import parent_pid
from roundsmith.errors import PlatformError

_PR_SET_PDEATHSIG = 1


class Child(Protocol):
    """A child process, as `asyncio.subprocess.Process` is one."""

    @property
    def pid(self) -> int:
        """As this process numbers it."""

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the number of its signal below zero; None while it runs."""

    async def wait(self) -> int:
        """The return code, when it has ended."""

    def terminate(self) -> None:
        """SIGTERM. Raises ProcessLookupError when it has ended."""

    def kill(self) -> None:
        """SIGKILL. Raises ProcessLookupError when it has ended."""


class Start(Protocol):
    """Starts `python -m MODULE ARGUMENTS` in this environment; what it prints goes to `output`."""

    async def __call__(
        self,
        module: str,
        arguments: Sequence[str],
        output: BinaryIO,
        environment: Mapping[str, str],
        own_session: bool,
    ) -> Child: ...


async def execute(
    module: str,
    arguments: Sequence[str],
    output: BinaryIO,
    environment: Mapping[str, str],
    own_session: bool,
) -> asyncio.subprocess.Process:
    """Starts it with an interpreter of its own."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=environment,
        start_new_session=own_session,
    )


async def end(child: Child, grace_s: float) -> None:
    """SIGTERM, so long to end by itself, SIGKILL; returns when it has ended."""
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        await asyncio.wait_for(child.wait(), grace_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def die_with_parent() -> None:
    """Asks the kernel to end this process when the thread that started it ends, however that ends.

    Raises PlatformError when the parent named by the environment went away before that.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = parent_pid()
    if parent is not None and os.getppid() != parent:
        raise PlatformError(f"expected process {parent} as parent, saw it gone: nothing is served")
