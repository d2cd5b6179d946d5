"""The services as child processes on loopback: started together, watched, ended together."""

import asyncio
import json
import logging
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roundsmith.children import Child, Start, end, execute
from roundsmith.clients import Endpoints
from roundsmith.config import child_environment
from roundsmith.errors import ConfigError, PlatformError

log = logging.getLogger(__name__)

WITH_MODEL = ("generator", "scorer")
START_S = 300.0
"""A service that is not ready by then is given up."""
RESTARTS = 5
"""How often one service that ended by itself is started again in a run."""
BACKOFF_S = 0.5
"""How long before the first time; each time after that twice as long."""
GRACE_S = 15.0
"""How long a service may drain; longer than its own `drain_s`, after which it ends by itself."""


@dataclass
class ServiceProcesses:
    """Processes of `roundsmith serve`, by service name; each logs to `logs/NAME.log`."""

    folder: Path
    start_model: Start = execute
    """Starts those that load a model."""
    _running: dict[str, Child] = field(default_factory=dict)
    _commands: dict[str, Sequence[str]] = field(default_factory=dict)
    _addresses: dict[str, dict[str, str]] = field(default_factory=dict)
    _restarts: Counter[str] = field(default_factory=Counter)

    async def start(self, commands: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
        """Starts all at once; the addresses of each by name when all are ready.

        Raises ConfigError or PlatformError with the log's end when one fails; then the others are
        given up, and none is left.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                starting = {n: tasks.create_task(self._start(n, c)) for n, c in commands.items()}
        except BaseException as failure:
            await self.stop()
            raise _first(failure) from failure
        self._commands = dict(commands)
        self._addresses = {name: task.result() for name, task in starting.items()}
        return dict(self._addresses)

    async def stop(self) -> None:
        """SIGTERM, a time to drain, SIGKILL."""
        await asyncio.gather(*(end(process, GRACE_S) for process in self._running.values()))
        self._running.clear()

    async def revive(self) -> None:
        """Starts every service that has ended by itself again, where it listened before, so that
        its clients go on by themselves.

        Raises PlatformError, with the end of its log, for one that ends too often.
        """
        for name, process in list(self._running.items()):
            if process.returncode is None:
                continue
            self._restarts[name] += 1
            seen = _ending(process.returncode)
            if self._restarts[name] > RESTARTS:
                raise PlatformError(
                    f"{name}: expected it to serve until the run ends, saw it end {RESTARTS + 1} "
                    f"times, at last with {seen}: run again, nothing is lost\n{self._tail(name)}"
                )
            log.warning(
                "%s ended with %s: started again, %d of %d times",
                name,
                seen,
                self._restarts[name],
                RESTARTS,
            )
            await asyncio.sleep(BACKOFF_S * 2 ** (self._restarts[name] - 1))
            ports = _ports(self._addresses[name])
            await self._start(name, [*self._commands[name], *ports], anew=False)

    async def _start(
        self, name: str, arguments: Sequence[str], anew: bool = True
    ) -> dict[str, str]:
        logs, ready = self.folder / "logs", self.folder / f"{name}.ready"
        logs.mkdir(parents=True, exist_ok=True)
        ready.unlink(missing_ok=True)
        with (logs / f"{name}.log").open("wb" if anew else "ab") as output:
            process = await (self.start_model if name in WITH_MODEL else execute)(
                "roundsmith.cli",
                ["serve", name, *arguments, "--ready-file", str(ready), "--die-with-parent"],
                output,
                child_environment(PYTHONUNBUFFERED="1", NO_COLOR="1", COLUMNS="200"),
                own_session=True,  # Ctrl-C reaches the run, which ends its services in order
            )
        self._running[name] = process
        return await self._ready(name, process, ready)

    async def _ready(self, name: str, process: Child, ready: Path) -> dict[str, str]:
        ended = asyncio.ensure_future(process.wait())
        try:
            async with asyncio.timeout(START_S):
                while not ready.exists():
                    if ended.done():
                        raise self._not_started(name, ended.result())
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise PlatformError(
                f"{name}: expected it to be ready in {START_S:.0f} s, saw it still starting: "
                f"{self._tail(name)}"
            ) from error
        finally:
            ended.cancel()
        addresses: dict[str, str] = json.loads(ready.read_text())
        return addresses

    def _not_started(self, name: str, code: int) -> Exception:
        kind = ConfigError if code == ConfigError.exit_code else PlatformError
        return kind(f"{name} did not start ({_ending(code)}):\n{self._tail(name)}")

    def _tail(self, name: str) -> str:
        lines = (self.folder / "logs" / f"{name}.log").read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-12:])


def endpoints(addresses: Mapping[str, Mapping[str, str]]) -> Endpoints:
    """Where the clients find what `start` started."""
    return Endpoints(
        generator=addresses["generator"]["address"],
        generator_admin=addresses["generator"]["admin_address"],
        executor=addresses["executor"]["address"],
        scorer=addresses["scorer"]["address"],
        scorer_admin=addresses["scorer"]["admin_address"],
        pair_builder=addresses["pair-builder"]["address"],
    )


def _ports(addresses: Mapping[str, str]) -> list[str]:
    """The options that make a service listen where it did."""
    options = {"address": "--port", "admin_address": "--admin-port"}
    return [
        argument
        for name, option in options.items()
        if name in addresses
        for argument in (option, addresses[name].rpartition(":")[2])
    ]


def _first(failure: BaseException) -> BaseException:
    """What failed first in a group of tasks, or the failure itself, as when they were cancelled."""
    return failure.exceptions[0] if isinstance(failure, BaseExceptionGroup) else failure


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
