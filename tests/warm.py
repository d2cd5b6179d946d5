"""Processes that load torch and transformers, forked from one that has, as a run's services and
trainings are: a start takes a twentieth of what the imports take.
"""

import asyncio
import atexit
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from roundsmith.children import Child
from roundsmith.config import child_environment
from roundsmith.platform.forked import ForkServer
from tests.ports import kept_port

START_S = 300.0


class Warm:
    """A process of a module, which what is asked of it here is asked of from any thread."""

    def __init__(self, child: Child) -> None:
        self._child, self.pid = child, child.pid

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self._child.returncode

    def wait(self, within_s: float = START_S) -> int:
        """Its exit code, when it has ended. Raises TimeoutError when it has not."""
        waiting = asyncio.wait_for(self._child.wait(), within_s)
        return asyncio.run_coroutine_threadsafe(waiting, _loop()).result()

    def kill(self) -> None:
        """SIGKILL, and its end."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """To this process alone, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def start(
    module: str,
    arguments: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    own_session: bool = False,
) -> Warm:
    """`python -m MODULE ARGUMENTS`, whose output goes to the end of a log."""
    with log.open("ab") as output:
        told = child_environment(**environment or {})
        starting = _server().start(module, arguments, output, told, own_session)
        return Warm(asyncio.run_coroutine_threadsafe(starting, _loop()).result(START_S))


def together(module: str, arguments: Sequence[str], log: Path, processes: int) -> int:
    """The exit code of processes that share a training, as torchrun starts them; where one fails,
    its own, and the others are ended.
    """
    place = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(kept_port())}
    places = [place | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    started = [start(module, arguments, log, one) for one in places]
    while (codes := [process.poll() for process in started]).count(0) < processes:
        if failed := [code for code in codes if code]:
            for process in started:
                process.kill()
            return failed[0]
        time.sleep(0.02)
    return 0


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Where children are watched."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


@cache
def _server() -> ForkServer:
    """What all are forked from."""
    server = ForkServer()
    atexit.register(lambda: asyncio.run_coroutine_threadsafe(server.close(), _loop()).result())
    return server
